"""Builds the first image on a machine that has nothing: `python -m benchmarks.first_image [--before COMMIT]` (as root).

README's first command runs in a new clone, with an empty cache folder and empty caches of Go; then the image is
verified, and the extensions are compiled for the other Python of the CUDA line. With `--before` the image is built and
verified at another commit first; with `--keep` columns of other commits stay on the page. Measured are wall times, the
log as a file gets it, and the memory of all compilers together, read from /proc every half second. Nothing else should
run meanwhile. The times of stages go to ci/times.toml, from which a build without records is estimated.
"""

import argparse
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.page import machine, part_of_page, put
from engine.progress import COLORS
from tests.engine.conftest import ROOT

CELL = ("--cuda", "12.8.1", "--python", "3.13", "--target", "ray-runtime")
SECOND = ("--cuda", "12.8.1", "--python", "3.14")
COMPILERS = {
    "nvcc",
    "cicc",
    "cudafe++",
    "ptxas",
    "fatbinary",
    "nvlink",
    "cc1plus",
    "as",
    "g++",
    "c++",
    "ccache",
}
LONG = 300  # characters
TIMES = ROOT / "ci" / "times.toml"
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Line:
    """One line of a log: seconds since the call began, its text, and its length in characters as it was written."""

    seconds: float
    text: str
    length: int


@dataclass
class Call:
    """One call of daggerw: its lines, its seconds, and the greatest memory of all compilers in bytes."""

    seconds: float = 0.0
    lines: list[Line] = field(default_factory=list)
    memory: int = 0

    def first(self, pattern: str) -> float:
        """Return the seconds of the first line that a pattern is found in."""
        return next(line.seconds for line in self.lines if re.search(pattern, line.text))

    def last(self, pattern: str) -> float:
        """Return the seconds of the last such line."""
        return next(line.seconds for line in reversed(self.lines) if re.search(pattern, line.text))


@dataclass(frozen=True)
class Measured:
    """The first image and its checks at one commit."""

    commit: str
    build: Call
    verify: Call
    second: Call | None

    def stages(self) -> dict[str, float]:
        """Return the seconds of each stage, and of the checks as `finish`."""
        done = re.compile(r": ([a-z-]+): done after ([\d.]+) (s|min|h)$")
        found = (done.search(line.text) for line in self.build.lines)
        stages = {one[1]: float(one[2]) * _UNITS[one[3]] for one in found if one}
        return stages | {"finish": self.verify.seconds}

    def row(self) -> list[str]:
        """Return the numbers of the table."""
        build, lines = self.build, self.build.lines
        # Also the name that a line of the former log has: "load module: . DONE".
        loaded = build.first(r"load module: \.:? (?:done|DONE)")
        second = _minutes(_compile_seconds(self.second)) if self.second else ""
        return [
            _minutes(build.seconds),
            _minutes(loaded),
            _minutes(_compile_seconds(build)),
            f"{build.memory / 1e9:.1f}",
            f"{len(lines):,}",
            f"{sum(line.length + 1 for line in lines):,}",
            f"{sum(line.length > LONG for line in lines)}",
            _minutes(self.verify.seconds),
            second,
        ]


NAMES = (
    "the whole call, minutes:seconds",
    "of it, until the module is loaded",
    "of it, the compile of PyG's extensions",
    "memory of all compilers together, GB",
    "lines of the log",
    "bytes of the log",
    f"lines over {LONG} characters",
    "`verify` of the image, minutes:seconds",
    "then the compile for Python 3.14, minutes:seconds",
)


def _compile_seconds(call: Call) -> float:
    return call.last(r"\.whl, \d+ bytes") - call.first(r"compile_wheels: \d+ packages|: \d+ modules, ")


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def read_memory(names: set[str]) -> int:
    """Return the bytes of memory that all processes of some names have."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().strip() in names:
                total += int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:  # it has ended
            continue
    return total


def run(checkout: Path, environment: dict[str, str], *words: str) -> Call:
    """Run one call of a checkout's daggerw to its end."""
    call, ended, began = Call(), threading.Event(), time.monotonic()

    def watch() -> None:
        while not ended.wait(0.5):
            call.memory = max(call.memory, read_memory(COMPILERS))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with subprocess.Popen(
            [checkout / "daggerw", "call", *words],
            cwd=checkout,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout
            for line in process.stdout:
                written = line.rstrip("\n")
                text = COLORS.sub("", written)
                call.lines.append(Line(time.monotonic() - began, text, len(written)))
                print(f"{call.lines[-1].seconds:8.1f} {text[:200]}", flush=True)
    finally:
        ended.set()
        watcher.join()
    assert process.returncode == 0, f"exit status {process.returncode}"
    call.seconds = time.monotonic() - began
    return call


def measure(commit: str, *, second: bool) -> Measured:
    """Build and verify the first image of a commit; compile for a second Python if that is wanted."""
    with TemporaryDirectory(prefix="first-image-", dir=Path.home(), ignore_cleanup_errors=True) as name:
        folder = Path(name)
        checkout, cache = folder / "checkout", folder / "cache"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
        subprocess.run(["git", "-C", str(checkout), "checkout", "--quiet", commit], check=True)
        environment = {
            "CSLR_IMAGES_CACHE": str(cache),
            "GOCACHE": str(folder / "go-build"),
            "GOMODCACHE": str(folder / "go-modules"),
        }
        try:
            build = run(checkout, environment, "build", *CELL)
            verify = run(checkout, environment, "verify", *CELL)
            other = run(checkout, environment, "wheels", *SECOND, "entries") if second else None
        finally:
            for word in ("stop", "clean"):
                command = [checkout / "daggerw", word]
                subprocess.run(command, env={**os.environ, **environment}, check=False)
        # Go's modules are read-only.
        subprocess.run(["chmod", "--recursive", "u+w", str(folder)], check=True)
        shutil.rmtree(folder)
    return Measured(commit, build, verify, other)


def write_times(stages: dict[str, float]) -> None:
    """Replace the seconds of stages in the table of times."""
    text = TIMES.read_text("utf-8")
    for name, seconds in stages.items():
        row = r"(?<=\[finish\]\nseconds = )" if name == "finish" else rf"(?<=\n{name} = {{ seconds = )"
        text = re.sub(rf"{row}\d+", str(max(1, round(seconds))), text)
    TIMES.write_text(text, "utf-8")


def read_columns() -> dict[str, list[str]]:
    """Return the columns that the page's table has, by commit."""
    lines = part_of_page("first image").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines if line.startswith("| ")]
    return {commit: column for commit, *column in zip(*rows, strict=True)}


def part(columns: Mapping[str, Sequence[str]]) -> str:
    """Write the numbers down, a column for each commit."""
    rows = zip(NAMES, *columns.values(), strict=True)
    return "\n".join(
        [
            "## The first image",
            "",
            f"`python -m benchmarks.first_image`, {machine()}: README's first command in a new clone, with an empty",
            "cache folder and empty caches of Go, and then `verify` of the image. The second Python's objects come",
            "from ccache, as far as they do not depend on Python.",
            "",
            f"| | {' | '.join(columns)} |",
            f"|---|{'---|' * len(columns)}",
            *(f"| {' | '.join(row)} |" for row in rows),
        ]
    )


def main() -> None:
    """Measure one or two commits, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", help="a commit to measure first")
    parser.add_argument("--keep", action="store_true", help="keep the columns of other commits")
    options = parser.parse_args()
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=7", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    commits = [options.before, head] if options.before else [head]
    measured = [measure(commit, second=commit == head) for commit in commits]
    columns = read_columns() if options.keep else {}
    columns = {commit: column for commit, column in columns.items() if commit not in commits}
    put("first image", part(columns | {one.commit: one.row() for one in measured}))
    write_times(measured[-1].stages())


if __name__ == "__main__":
    main()
