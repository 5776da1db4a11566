"""Builds real cells and writes BENCHMARKS.md: `python -m benchmarks.real_cells` (hours of CPU when caches are empty).

Each pair is built once for a user that no build had before, so that every stage from the base upwards is made anew
(`--as-built`: it is not, and times are those of the builds that the engine's history has); caches of packages and of
ccache stay as they are. Then each cell is built by `matrix` and verified, and once more with
all of it cached; times and sizes are those of its records. Start from an empty cache folder for cold numbers: "longest"
is the longest time that the engine's history has for a stage of the pair.
"""

import argparse
import json
import re
import secrets
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import links
from benchmarks.page import PAGE, machine, put
from tests.engine.conftest import ROOT, succeed
from tests.stand_ins.cache import CACHE
from tests.stand_ins.servers import image_registry

# CUDA, Python, target, variant.
CELLS = (
    ("12.8.1", "3.13", "ray-runtime", "default"),
    ("12.8.1", "3.13", "devel", "default"),
    ("13.1.1", "3.14", "ray-runtime", "default"),
    ("13.1.1", "3.14", "ray-runtime", "slim"),
    ("13.1.1", "3.14", "runtime", "minimal"),
    ("12.8.1", "3.13", "ray-runtime", "slim"),
    ("12.8.1", "3.13", "runtime", "minimal"),
    ("12.8.1", "3.13", "ray-runtime", "uv"),
)
# What these images should not pass, GB on disk and compressed; BENCHMARKS.md tells which do.
GOALS = {
    "cu12.8.1-py3.13-ray-runtime": (8.2, 3.8),
    "cu12.8.1-py3.13-ray-runtime@slim": (6.8, 3.3),
    "cu13.1.1-py3.14-ray-runtime": (6.8, 3.3),
    "cu13.1.1-py3.14-ray-runtime@slim": (5.6, 2.9),
    "cu13.1.1-py3.14-runtime@minimal": (4.6, 2.5),
}
HEADING = re.compile(r"^### (\S+): ([\d,]+) MB on disk, ([\d,]+) MB compressed", re.MULTILINE)


@dataclass(frozen=True)
class Measured:
    """One cell's numbers: records of its builds, the longest time of each stage of its pair, and what a registry got.

    Times are seconds, sizes are bytes; `pushed` holds compressed and uncompressed bytes of each layer.
    """

    cell: str
    built: dict[str, Any]
    cached: dict[str, Any]
    longest: dict[str, float]
    wheels: dict[str, Any]
    publish_seconds: float
    pushed: list[tuple[int, int]]
    must_stay: list[str]


def call(*words: str) -> str:
    """Call the module and return what it printed."""
    return succeed("call", *words)


def history() -> list[dict[str, Any]]:
    """Return the engine's records, oldest first."""
    return [json.loads(line) for line in call("history", "contents").splitlines()]


def newest(cell: str) -> dict[str, Any]:
    """Return the newest finished record of a cell."""
    finished = [record for record in history() if record["cell"] == cell and "seconds" in record]
    if not finished:
        raise SystemExit(f"{cell}: no finished record; was there too little free disk?")
    return finished[-1]


def build_anew(cuda: str, python: str, folder: Path) -> None:
    """Build a pair with nothing below it in the engine but the base image, the channel and the toolkit."""
    text = (ROOT / "ci/matrix.toml").read_text("utf-8")
    uid = 2_000 + secrets.randbelow(50_000)
    matrix = folder / "anew.toml"
    matrix.write_text(text.replace("uid = 1000", f"uid = {uid}"), "utf-8")
    chosen = (f"--cuda={cuda}", f"--python={python}", "--target=ray-runtime")
    call(f"--matrix-file={matrix}", "matrix", *chosen, "--verify=none", "--disk-floor=15")


def measure(cuda: str, python: str, target: str, variant: str, registry: int) -> Measured:
    """Build one cell, then publish it."""
    pair, which = (f"--cuda={cuda}", f"--python={python}"), f"--target={target}"
    cell = f"cu{cuda}-py{python}-{target}" + ("" if variant == "default" else f"@{variant}")
    chosen = f"--variant={variant}"
    call(chosen, "matrix", *pair, which, "--disk-floor=15")
    built = newest(cell)
    print(f"{cell}: built in {built['seconds']:.0f} s", flush=True)
    call(chosen, "matrix", *pair, which, "--disk-floor=15", "--verify=none")
    cached = newest(cell)
    longest: dict[str, float] = {}
    mine = (record for record in history() if record["cell"].startswith(f"cu{cuda}-py{python}-"))
    for stage in (stage for record in mine for stage in record.get("stages", ())):
        longest[stage["name"]] = max(longest.get(stage["name"], 0.0), stage["seconds"])
    wheels = json.loads(call(chosen, "wheels", *pair, "file", "--path=report.json", "contents"))
    tag = f"{target}-{variant}-{cuda}"
    began = time.monotonic()
    address = f"127.0.0.1:{registry}/bench:{tag}"
    call(chosen, "build", *pair, which, "publish", f"--address={address}", "--forced-compression=Zstd")
    seconds = time.monotonic() - began
    print(f"{cell}: published in {seconds:.0f} s", flush=True)
    pushed = layers(registry, tag)
    found = (built["size"] / 1e9, sum(size for size, _ in pushed) / 1e9)
    missed = any(size > goal for size, goal in zip(found, GOALS.get(cell, found), strict=True))
    must_stay = links.told(links.look(chosen, "build", *pair, which)) if missed else []
    return Measured(cell, built, cached, longest, wheels, seconds, pushed, must_stay)


def layers(registry: int, tag: str) -> list[tuple[int, int]]:
    """Return each layer's compressed and uncompressed bytes."""
    base = f"http://127.0.0.1:{registry}/v2/bench"
    request = urllib.request.Request(f"{base}/manifests/{tag}")  # noqa: S310 - http, on loopback
    request.add_header("Accept", "application/vnd.oci.image.manifest.v1+json")
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - http, on loopback
        manifest = json.load(answer)
    return [(layer["size"], unpacked(f"{base}/blobs/{layer['digest']}")) for layer in manifest["layers"]]


def unpacked(address: str) -> int:
    """Count the bytes of a zstd layer's tar."""
    with (
        urllib.request.urlopen(address) as answer,  # noqa: S310 - http, on loopback
        subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as zstd,
        subprocess.Popen(["wc", "-c"], stdin=zstd.stdout, stdout=subprocess.PIPE) as count,
    ):
        assert zstd.stdin
        while block := answer.read(1 << 20):
            zstd.stdin.write(block)
        zstd.stdin.close()
        return int(count.communicate()[0])


def intro() -> str:
    """Say what the numbers of real cells are."""
    text = [
        "## Real cells",
        "",
        f"`python -m benchmarks.real_cells`, {machine()}, the embedded engine, the `registries` sources. No GPU:",
        "compiled CUDA code was compiled and looked at, not run. Times are wall time of a stage: the longest that",
        "the history has for this stage of the pair (packages and objects may have been cached), and with all of it",
        "cached; how long a compile takes stands at the extensions. Sizes are MB (10^6 bytes).",
        "",
        "| image | MB on disk | goal | MB compressed (zstd) | goal |",
        "|---|---|---|---|---|",
    ]
    for image, disk, compressed in sorted(HEADING.findall(PAGE.read_text("utf-8"))):
        goals = [f"{goal * 1000:,.0f}" for goal in GOALS.get(image, ())] or ["", ""]
        text.append(f"| {image} | {disk} | {goals[0]} | {compressed} | {goals[1]} |")
    return "\n".join(text)


def section(found: Measured) -> list[str]:
    """Write one cell down."""
    compressed = sum(size for size, _ in found.pushed) / 1e6
    on_disk = found.built["size"] / 1e6
    lines = [f"### {found.cell}: {on_disk:,.0f} MB on disk, {compressed:,.0f} MB compressed (zstd)", ""]
    lines += ["| stage | longest, s | cached, s |", "|---|---|---|"]
    again = {stage["name"]: stage["seconds"] for stage in found.cached["stages"]}
    for stage in found.built["stages"]:
        name = stage["name"]
        cached = f"{again[name]:.0f}" if name in again else ""  # checks do not run again
        lines.append(f"| {name} | {found.longest[name]:.0f} | {cached} |")
    lines.append(f"| publish to a registry on loopback, zstd | {found.publish_seconds:.0f} | |")
    lines += [
        "",
        f"Extensions, compiled for {found.wheels['arch_list'] or 'the CPU'} by nvcc {found.wheels['nvcc']},",
    ]
    lines += [f"{found.wheels['jobs']} jobs at once:", ""]
    lines += [
        "| extension | wall, s | objects | with narrow headers | from ccache | wheel, MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in found.wheels["packages"].items():
        counts = one["objects"]
        lines.append(
            f"| {name} {one['version']} | {one['seconds']:.0f} | {counts['narrow'] + counts['full']} "
            f"| {counts['narrow']} | {counts['cached']} | {one['bytes'] / 1e6:.1f} |"
        )
    lines += ["", "| stage | adds to the image's files, MB |", "|---|---|"]
    lines += [f"| {layer['name']} | {layer['size'] / 1e6:,.1f} |" for layer in found.built["layers"]]
    for title, key in (("kind of file", "kinds"), ("part of ELF files", "elf"), ("GPU code for", "archs")):
        lines += ["", f"| {title} | MB |", "|---|---|"]
        lines += [f"| {one['name']} | {one['size'] / 1e6:,.1f} |" for one in found.built[key]]
    lines += ["", "| layer as pushed | tar, MB | compressed, MB |", "|---|---|---|"]
    lines += [
        f"| {i} | {tar / 1e6:,.1f} | {size / 1e6:,.1f} |" for i, (size, tar) in enumerate(found.pushed, 1)
    ]
    lines += ["", "| package | MB |", "|---|---|"]
    lines += [f"| {one['name']} | {one['size'] / 1e6:,.1f} |" for one in found.built["packages"]]
    passed = ", ".join(name for name, value in found.built["checks"].items() if value)
    return [*lines, "", f"Checks that it passed: {passed}.", "", *found.must_stay]


def main() -> None:
    """Measure the cells that are asked for, all by default, and write the page after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cells", type=int, nargs="+", default=range(len(CELLS)), help="their numbers, from 0"
    )
    parser.add_argument("--as-built", action="store_true", help="no pair is built anew")
    options = parser.parse_args()
    with TemporaryDirectory(dir=CACHE) as folder:
        succeed("functions")
        crane = next(CACHE.glob("parts/tools-*/crane"))
        with image_registry(crane, Path(folder)) as registry:
            pairs = dict.fromkeys(CELLS[number][:2] for number in options.cells)
            for cuda, python in {} if options.as_built else pairs:
                build_anew(cuda, python, Path(folder))
            for number in options.cells:
                found = measure(*CELLS[number], registry)
                put(f"real cell {found.cell}", "\n".join(section(found)), after="real cells")
                put("real cells", intro())


if __name__ == "__main__":
    main()
