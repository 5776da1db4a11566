"""Compile the real extensions with narrow headers and with torch's own, and compare device code, operators and cost.

    python -m benchmarks.narrow_headers PYTHON CUDA_HOME [--only '*.cu'] [--arch-list 8.0+PTX] [--work DIR]

PYTHON is one that has torch and setuptools, CUDA_HOME a toolkit with nvcc. Nothing comes from ccache.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import machine, put
from tests.engine.conftest import ROOT

PROGRAM = ROOT / "ci/programs/compile_wheels.py"
# Names of kinds of objects, for readers.
KINDS = {"cu": "CUDA (`.cu`)", "cpp": "host (`.cpp`)"}


def compile_objects(options: argparse.Namespace, *words: str) -> tuple[dict[str, Path], list[dict[str, Any]]]:
    """Compile; return the objects by source, moved away, and the report's entries."""
    shutil.rmtree(options.work, ignore_errors=True)
    out = options.folder / f"out{''.join(words)}"
    command = [options.python, PROGRAM, "--requirements", ROOT / "ci/locks/sdists.txt", "--out", out]
    command += ["--work", options.work, "--cuda-home", options.cuda_home, "--arch-list", options.arch_list]
    command += ["--only", options.only, "--no-ccache", *words]
    subprocess.run(["nice", "-n", "19", *map(str, command)], check=True)
    moved = {}
    for made in sorted((options.work / "build").rglob("*.o")):
        package, temp, *rest = made.relative_to(options.work / "build").parts
        target = out / package / temp / "/".join(rest)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, target)
        moved[f"{temp.removeprefix('temp.')} {'/'.join(rest).removesuffix('.o')}"] = target
    return moved, json.loads((out / "report.json").read_text("utf-8"))["compiled"]


def device_code(made: Path) -> str:
    """Return the digest of an object's GPU code, empty without any."""
    with tempfile.NamedTemporaryFile() as file:
        command = ["objcopy", "-O", "binary", "--only-section=.nv_fatbin", str(made), file.name]
        subprocess.run(command, check=True, capture_output=True)
        content = Path(file.name).read_bytes()
    return hashlib.sha256(content).hexdigest() if content else ""


def operators(made: Path) -> frozenset[str]:
    """Return the operators of torch that an object calls, each with its overload."""
    text = subprocess.run(["nm", "-C", "-u", str(made)], check=True, capture_output=True, text=True).stdout
    return frozenset(re.findall(r"at::_ops::(\w+)::call", text))


def compare(narrow: Mapping[str, Path], own: Mapping[str, Path]) -> list[str]:
    """Return the lines that name what differs."""
    lines = []
    for name, made in narrow.items():
        if device_code(made) != device_code(own[name]):
            lines.append(f"- {name}: another GPU code")
        if found := operators(made) ^ operators(own[name]):
            lines.append(f"- {name}: calls other operators: {', '.join(sorted(found))}")
    return lines


def table(narrow: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the costs of both ways, by kind of object."""
    lines = [
        "| objects | number | CPU seconds, torch's own headers | narrow | ratio | peak memory, GB, own | narrow |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for kind, title in KINDS.items():
        before, after = (
            [one for one in way if one["kind"].removeprefix("full_") == kind] for way in (own, narrow)
        )
        if before:
            cost = [sum(one["cpu_seconds"] for one in way) for way in (before, after)]
            peak = [max(one["peak_bytes"] for one in way) / 1e9 for way in (before, after)]
            lines.append(
                f"| {title} | {len(after)} | {cost[0]:,.0f} | {cost[1]:,.0f} | {cost[1] / cost[0]:.2f} "
                f"| {peak[0]:.2f} | {peak[1]:.2f} |"
            )
    return lines


def main() -> int:
    """Measure, and write the part of BENCHMARKS.md; return 1 if anything differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.narrow_headers", description=__doc__)
    parser.add_argument("python", type=Path)
    parser.add_argument("cuda_home", type=Path)
    parser.add_argument("--only", default="*.cu")
    parser.add_argument("--arch-list", default="8.0+PTX")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "narrow-headers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.folder = Path(folder)
        narrow, cheap = compile_objects(options)
        own, dear = compile_objects(options, "--full-headers")
        different = compare(narrow, own)
    shutil.rmtree(options.work, ignore_errors=True)
    failed = [f"{one['module']} {one['source']}" for one in cheap if one["kind"].startswith("full_")]
    text = [
        "## Narrow headers",
        "",
        f"`python -m benchmarks.narrow_headers … --only '{options.only}'`, {machine()}, for {options.arch_list}.",
        f"{len(cheap)} objects were compiled both ways.",
        f"Not compiled with narrow headers: {', '.join(failed) or 'none'}.",
        "GPU code (`.nv_fatbin`, byte for byte) and the operators that are called (with overloads): "
        + (f"{len(different)} differences." if different else "the same in all of them."),
        *different,
        "",
        *table(cheap, dear),
    ]
    put("narrow headers", "\n".join(text), after="real cells")
    print("\n".join(text))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
