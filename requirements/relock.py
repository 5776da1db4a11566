#!/usr/bin/env python3
"""Writes ci/locks anew: `python requirements/relock.py` (needs uv and the package index; no addresses are written).

`--only video` writes the lock of that stage alone, for each pair: for a stage on which no later one depends.

Each stage's lock holds its whole closure, constrained by the stages below it, so that a later stage can never
change what an earlier layer holds. Only the `registries` sources are locked: `upstream` has indexes of its own.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ci.config.matrix import Cell, Matrix, Pair, default_matrix  # noqa: E402
from ci.config.sources import read_sources  # noqa: E402
from ci.plan import requirements  # noqa: E402

LOCKS = ROOT / "ci" / "locks"
PLATFORM = (
    "x86_64-manylinux_2_34"  # glibc 2.34 is in both bases: Debian bookworm has 2.36, Ubuntu 24.04 has 2.39
)


def compile_lock(wanted: str, out: Path, *options: str) -> None:
    """Resolve requirement lines into a hashed requirements file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    quiet = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command = [
        "uv",
        "pip",
        "compile",
        "-",
        "--output-file",
        str(out),
        "--generate-hashes",
        "--system-certs",
        *quiet,
    ]
    subprocess.run([*command, *options], input=wanted, text=True, check=True, cwd=ROOT)


def lock_pair(matrix: Matrix, pair: Pair, only: str | None = None) -> None:
    """Lock the stages of one pair, or one of them, each on top of the ones before."""
    folder = LOCKS / "registries" / Cell(cuda=pair.cuda, python=pair.python, target="devel").pair_id
    target = ["--python-version", pair.python, "--python-platform", PLATFORM]
    below: list[str] = []
    for stage in requirements.list_locked_stages(matrix):
        out = folder / f"{stage}.txt"
        if only in (None, stage):
            out.unlink(missing_ok=True)
            wanted = requirements.write_requirements(stage, matrix, matrix.torch["registries"][pair.cuda])
            compile_lock(wanted, out, *target, *below)
        below += ["--constraint", str(out.relative_to(ROOT))]


def lock_toolkits(profile: str = "registries") -> None:
    """Lock the wheels of each CUDA toolkit, for the Python of the container that unpacks them."""
    for cuda, toolkit in read_sources(profile).toolkit.items():
        if toolkit.wheels:
            out = LOCKS / profile / f"toolkit-{cuda}.txt"
            out.unlink(missing_ok=True)
            target = ("--python-version", "3.11", "--python-platform", PLATFORM)
            compile_lock("".join(f"{line}\n" for line in toolkit.wheels), out, *target)


def main() -> None:
    """Lock the tools, the sources of PyG's extensions, the CUDA toolkits, and each pair; or one stage of each pair."""
    matrix = default_matrix()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="STAGE", choices=requirements.list_locked_stages(matrix))
    only = parser.parse_args().only
    if only:
        for pair in matrix.pairs:
            lock_pair(matrix, pair, only)
        return
    tools = (ROOT / "requirements" / "tools.in").read_text("utf-8")
    compile_lock(tools, LOCKS / "tools.txt", "--universal", "--python-version", "3.11")
    sdists = [f"{name}=={pin.version}\n" for name, pin in matrix.pyg.extensions.items() if pin.sdist]
    compile_lock("".join(sdists), LOCKS / "sdists.txt", "--no-deps")
    lock_toolkits()
    for pair in matrix.pairs:
        lock_pair(matrix, pair)


if __name__ == "__main__":
    main()
