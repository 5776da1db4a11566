"""Measures the checks of one pair, run anew: `python -m benchmarks.checks [--before COMMIT]` (as root).

The images must be built: call `matrix` for the pair first. Checks are run by a copy of the module in which one comment
of `check.py` is new, so that the engine has no result of them. Calls see the copy at the checkout's own path, because
Dagger names a module's cache volumes by its path, and builds steps anew whose volumes have other names. Measured are
`verify` of one image, a sweep of the pair's six images, and the same with `--verify all`; with `--before` also the
first two at another commit. Times of checks and sweeps are those that the module reports, without the loading of the
copy.
"""

import argparse
import json
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.page import machine, put
from tests.engine.conftest import ROOT
from tests.stand_ins.cache import CACHE

ROW = re.compile(r"^  (\w+) +(?:passed in \S+ +)?([\d.]+) s  ", re.MULTILINE)
MARK = "from __future__ import annotations\n"
# Arguments: the copy, the checkout, words of the call.
AT_ITS_PATH = 'mount --bind "$1" "$2" && cd "$2" && shift 2 && exec ./daggerw call --sources=registries "$@"'


@dataclass(frozen=True)
class Verified:
    """One call of `verify`: its wall time, and that of each check, in seconds."""

    wall: float
    checks: dict[str, float]


@dataclass(frozen=True)
class Swept:
    """One sweep: its wall time in seconds, and by image the seconds of its checks and how many ran in it."""

    wall: float
    images: dict[str, tuple[float, int]]


class Module:
    """A copy of the module whose checks the engine has not run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def call(self, *words: str) -> str:
        """Call a function of the copy with the registries' sources, and return what it printed."""
        command = ["unshare", "--mount", "sh", "-c", AT_ITS_PATH, "sh", str(self.folder), str(ROOT), *words]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr[-4000:]
        return ran.stdout

    def verify(self, pair: tuple[str, str], target: str) -> Verified:
        """Run all checks of one image."""
        began = time.monotonic()
        text = self.call("verify", *pair, f"--target={target}")
        checks = {name: float(seconds) for name, seconds in ROW.findall(text)}
        return Verified(time.monotonic() - began, checks)

    def sweep(self, pair: tuple[str, str], *more: str) -> Swept:
        """Sweep all images of the pair."""
        began = time.monotonic()
        self.call("matrix", *pair, "--disk-floor=5", *more)
        wall = time.monotonic() - began
        lines = [json.loads(line) for line in self.call("history", "contents").splitlines()]
        finished = [line for line in lines if "seconds" in line]
        run = finished[-1]["run"]
        images: dict[str, tuple[float, int]] = {}
        for line in finished:
            if line["run"] != run:
                continue
            stages = {stage["name"]: stage["seconds"] for stage in line.get("stages", ())}
            # Records of earlier versions have only what the stages leave of the whole.
            seconds = stages.get("verify", line["seconds"] - sum(stages.values()))
            images[line["cell"]] = (seconds, len(line.get("checks", {})) - len(line.get("checked_in", {})))
        return Swept(wall, images)


@contextmanager
def copy_module(commit: str = "") -> Iterator[Module]:
    """Copy the tree as it is, or as it was at a commit, with a new comment in the checks, and load the copy."""
    with TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        kept = subprocess.run(
            ["git", "stash", "create"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        tree = commit or kept.stdout.strip() or "HEAD"
        archive = subprocess.run(["git", "archive", tree], cwd=ROOT, capture_output=True, check=True)
        shutil.copytree(ROOT / ".git", folder / ".git")
        subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
        program = folder / "ci/programs/checks/check.py"
        text = program.read_text("utf-8")
        assert MARK in text
        program.write_text(text.replace(MARK, f"# {secrets.token_hex(8)}\n{MARK}", 1), "utf-8")
        module = Module(folder)
        module.call("cells")
        yield module


def part(pair: str, target: str, verified: dict[str, Verified], swept: dict[str, Swept], before: str) -> str:
    """Write the numbers down."""
    names = list(verified["side by side"].checks)
    lines = [
        "## Checks",
        "",
        f"`python -m benchmarks.checks`, {machine()}, the embedded engine; {pair}, everything built, checks run anew.",
        *(
            [f"`before` is {before}, which runs one check after the other, all in every image."]
            if before
            else []
        ),
        "",
        f"`verify` of {target}, seconds:",
        "",
        f"| | {' | '.join(verified)} |",
        f"|---|{'---|' * len(verified)}",
        f"| the call | {' | '.join(f'{one.wall:.0f}' for one in verified.values())} |",
        f"| all checks, added up | {' | '.join(f'{sum(one.checks.values()):.0f}' for one in verified.values())} |",
    ]
    lines += [
        f"| {name} | {' | '.join(f'{one.checks.get(name, 0.0):.1f}' for one in verified.values())} |"
        for name in names
    ]
    images = list(swept["once"].images)
    lines += [
        "",
        "A sweep of the pair, seconds of the checks of each image (how many ran in it):",
        "",
        f"| | {' | '.join(swept)} |",
        f"|---|{'---|' * len(swept)}",
        f"| the call | {' | '.join(f'{one.wall:.0f}' for one in swept.values())} |",
    ]
    for image in images:
        found = (one.images[image] for one in swept.values())
        lines.append(f"| {image} | {' | '.join(f'{seconds:.0f} ({count})' for seconds, count in found)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cuda", default="12.8.1")
    parser.add_argument("--python", default="3.13")
    parser.add_argument("--target", default="ray-runtime", help="of the image that is verified alone")
    parser.add_argument("--before", default="", metavar="COMMIT")
    options = parser.parse_args()
    pair = (f"--cuda={options.cuda}", f"--python={options.python}")
    verified: dict[str, Verified] = {}
    swept: dict[str, Swept] = {}
    # The engine starts outside of the calls that see the copy.
    subprocess.run([ROOT / "daggerw", "call", "cells"], check=True, stdout=subprocess.DEVNULL)
    if options.before:
        with copy_module(options.before) as module:
            verified["before"] = module.verify(pair, options.target)
        with copy_module(options.before) as module:
            swept["before"] = module.sweep(pair)
    with copy_module() as module:
        verified["side by side"] = module.verify(pair, options.target)
    for mode in ("once", "all"):
        with copy_module() as module:
            swept[mode] = module.sweep(pair, f"--verify={mode}")
    name = f"cu{options.cuda}-py{options.python}"
    put("checks", part(name, options.target, verified, swept, options.before), after="real cells")


if __name__ == "__main__":
    main()
