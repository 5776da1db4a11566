"""The HTML report in a real Chromium without a screen: on a phone and on a desk, in light and in dark."""

import html as markup
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ci.report.html import render_html
from tests.unit.sample_histories import sample

LIGHT, DARK = 1, 0  # Chromium's preferredColorScheme
WIDTHS = (360, 1600)  # pixels: a phone, a desk
LEAST_CONTRAST = 4.5  # WCAG 2.1, AA, for text

# What a person would see, as numbers: what sticks out to the right, and the contrast of each text with what is below.
LOOK = """
<script>
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (text) => {
  const part = (x) => ((x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  const [r, g, b] = rgb(text).map(part);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const below = (node) => {
  for (; node; node = node.parentElement) {
    const color = getComputedStyle(node).backgroundColor;
    if (rgb(color)[3] !== 0) return color;
  }
};
const said = [...document.querySelectorAll("body *")].filter(
  (node) => node.checkVisibility() && [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim()));
const contrasts = said.map((node) => {
  const [a, b] = [light(getComputedStyle(node).color), light(below(node))];
  return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.slice(0, 40)];
});
const seen = {
  width: innerWidth,
  overflow: document.documentElement.scrollWidth - innerWidth,
  page: getComputedStyle(document.body).backgroundColor,
  controls: document.getElementById("controls").hidden,
  texts: said.length,
  faint: contrasts.sort((a, b) => a[0] - b[0]).slice(0, 3),
  bars: [...document.querySelectorAll(".bar svg")].map((bar) => bar.getBoundingClientRect().width),
};
parent.postMessage(JSON.stringify(seen), "*");
</script>
"""
# Chromium makes no window narrower than 500 pixels, so the page is looked at in a frame.
FRAME = """<!doctype html><meta name="color-scheme" content="light dark"><pre id="seen"></pre><script>
addEventListener("message", (event) => { document.getElementById("seen").textContent = event.data; });
</script><iframe src="open.html" width="%d" height="3000" frameborder="0"></iframe>
"""


def chromium(folder: Path, page: Path, scheme: int, *words: str) -> str:
    """Run Chromium over a page and return what it prints, with its own log."""
    program = shutil.which("chromium")
    assert program, "no chromium: tests/run installs it"
    command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1800,1200",
        "--enable-logging=stderr",
    ]
    command += [f"--blink-settings=preferredColorScheme={scheme}", "--hide-scrollbars", *words, page.as_uri()]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    return ran.stdout + ran.stderr


def looked(folder: Path, width: int, scheme: int) -> dict[str, Any]:
    """Open the report and return what is to be seen; the policy that forbids foreign scripts is taken out for that."""
    whole = render_html(sample())
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", whole)
    assert open_page != whole
    (folder / "open.html").write_text(open_page.replace("</body>", f"{LOOK}</body>"), "utf-8")
    frame = folder / "frame.html"
    frame.write_text(FRAME % width, "utf-8")
    printed = chromium(folder, frame, scheme, "--dump-dom", "--virtual-time-budget=5000")
    found = re.search(r'<pre id="seen">(.*?)</pre>', printed, re.DOTALL)
    assert found, printed[-2000:]
    seen: dict[str, Any] = json.loads(markup.unescape(found[1]))
    return seen


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_can_be_read(tmp_path: Path, width: int, scheme: int) -> None:
    seen = looked(tmp_path, width, scheme)
    assert seen["width"] == width
    assert seen["overflow"] <= 0
    assert seen["controls"] is False, "the page's own script ran"
    assert seen["texts"] > 100
    assert seen["faint"][0][0] >= LEAST_CONTRAST, seen["faint"]
    assert seen["bars"]
    assert min(seen["bars"]) > 100
    shade = max(int(part) for part in re.findall(r"\d+", seen["page"]))
    assert shade > 200 if scheme == LIGHT else shade < 60


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_the_page_as_it_is_breaks_no_rule_of_its_own_and_gives_a_picture(tmp_path: Path, scheme: int) -> None:
    page = tmp_path / "report.html"
    page.write_text(render_html(sample()), "utf-8")
    picture = tmp_path / "report.png"
    log = chromium(tmp_path, page, scheme, f"--screenshot={picture}")
    assert "CONSOLE" not in log, log
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000, "an empty page is a few kilobytes"
