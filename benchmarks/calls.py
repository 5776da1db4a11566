"""Times warm calls of the module, with the client's run-time checks and without: `python -m benchmarks.calls`.

Without the checks is how the embedded engine ran modules once; Dagger's own SDK has them on. A copy of the module with
a `usercustomize.py` that turns them off stands for that. The calls take turns, so that both see the same machine.
`--before FOLDER` names a checkout of an earlier commit whose calls take turns with them; with its engine as it was,
it needs a cache folder of its own (`--before-cache`).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.page import machine, put
from tests.engine.conftest import ROOT

ROUNDS = 7
CALLS = {
    "`functions`": ("functions",),
    "`call cells`": ("call", "cells"),
    "`call plan` of a cell": ("call", "plan", "--cuda=12.8.1", "--python=3.13", "--target=ray-runtime"),
}
# Python imports this when it starts: the checks are wrapped around each method of the client as it is imported.
UNCHECKED = """
import beartype

beartype.beartype = lambda *_, **__: lambda function: function
"""


def timed(folder: Path, cache: str | None, words: tuple[str, ...]) -> float:
    """Run daggerw in a checkout, and return the seconds that it took."""
    environment: Mapping[str, str] = {**os.environ, **({"CSLR_IMAGES_CACHE": cache} if cache else {})}
    began = time.monotonic()
    subprocess.run(
        [folder / "daggerw", "--silent", *words],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    return time.monotonic() - began


def copies(scratch: Path) -> tuple[Path, Path]:
    """Copy the repository twice, the second time with the checks turned off."""
    checked, unchecked = scratch / "checked", scratch / "unchecked"
    ignored = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", ".hypothesis")
    for folder in (checked, unchecked):
        shutil.copytree(ROOT, folder, ignore=ignored, symlinks=True)
    (unchecked / "usercustomize.py").write_text(UNCHECKED, "utf-8")
    return checked, unchecked


def commit(folder: Path) -> str:
    """Name the commit of a checkout with its subject."""
    shown = ["git", "-C", str(folder), "log", "-1", "--format=%h (%s)"]
    return subprocess.run(shown, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Measure each call in turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--before-cache")
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        checked, unchecked = copies(Path(scratch))
        ways: dict[str, tuple[Path, str | None]] = {"checks on": (checked, None), "off": (unchecked, None)}
        if options.before:
            ways["before"] = (options.before, options.before_cache)
        rows = []
        for name, words in CALLS.items():
            for where in ways.values():
                timed(*where, words)  # loads the module
            times: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(ROUNDS):
                for way, where in ways.items():
                    times[way].append(timed(*where, words))
            rows.append(row(name, times))
            print(rows[-1], flush=True)
    titles = [
        title for way in ways for title in ((f"{way}, s", "ratio") if way != "checks on" else (f"{way}, s",))
    ]
    before = f" `before` is {commit(options.before)}." if options.before else ""
    text = [
        "## Warm calls",
        "",
        f"`python -m benchmarks.calls`, {machine()}; medians of {ROUNDS} calls that took turns (least to most).",
        "Ratios are of the calls with the client's run-time checks, as they are, to the others." + before,
        "",
        f"| call | {' | '.join(titles)} |",
        f"|---|{'---|' * len(titles)}",
        *rows,
    ]
    put("calls", "\n".join(text), after="plans")


def row(name: str, times: Mapping[str, list[float]]) -> str:
    """Write the table's row of a call."""
    first = statistics.median(times["checks on"])
    cells = [name]
    for way, seconds in times.items():
        middle = statistics.median(seconds)
        cells.append(f"{middle:.2f} ({min(seconds):.2f} to {max(seconds):.2f})")
        if way != "checks on":
            cells.append(f"{first / middle:.2f}")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
