"""Builds real cells and writes BENCHMARKS.md: `python -m tests.bench.real_cells` (hours of CPU when caches are empty).

Each cell is built by `matrix`, twice; the times by stage are those of its records: "longest" is the longest time that
the engine's records have for that very stage (from empty caches, if they were empty when the engine first built it),
"cached" is the time when all is there. Start from an empty cache folder for cold numbers.
"""

import argparse
import json
import os
import platform
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.engine.conftest import CACHE, ROOT, succeed
from tests.world.servers import image_registry

CELLS = (("12.8.1", "3.13", "ray-runtime"), ("12.8.1", "3.13", "devel"), ("13.1.1", "3.14", "ray-runtime"))
RESULTS = ROOT / "BENCHMARKS.md"


@dataclass
class Measured:
    """One cell's numbers: seconds, and bytes."""

    cell: str
    stages: list[tuple[str, float, float]] = field(default_factory=list)
    wheels: dict[str, object] = field(default_factory=dict)
    layers: list[tuple[int, int]] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    packages: dict[str, int] = field(default_factory=dict)
    verify: str = ""


def timed(*words: str) -> tuple[float, str]:
    """Run a call of the module and return its wall time and what it printed."""
    started = time.monotonic()
    printed = succeed("call", *words)
    return time.monotonic() - started, printed


def measure(cuda: str, python: str, target: str, registry: int) -> Measured:
    """Build one cell, then measure the image."""
    pair = (f"--cuda={cuda}", f"--python={python}")
    found = Measured(f"{cuda} / {python} {target}")
    for _ in range(2):
        timed("matrix", *pair, f"--target={target}", "--disk-floor=15")
        print(f"{found.cell}: built", flush=True)
    records = [
        record for line in timed("history", "contents")[1].splitlines() if (record := json.loads(line))
    ]
    longest: dict[str, float] = {}
    for stage in (stage for record in records for stage in record.get("stages", ())):
        longest[stage["digest"]] = max(longest.get(stage["digest"], 0.0), stage["seconds"])
    last = records[-1]
    found.stages = [(stage["name"], longest[stage["digest"]], stage["seconds"]) for stage in last["stages"]]
    found.stages.append(
        ("verify and measure", 0.0, last["seconds"] - sum(stage["seconds"] for stage in last["stages"]))
    )
    report = timed("wheels", *pair, "file", "--path=report.json", "contents")[1]
    found.wheels = json.loads(report)
    image = ("build", *pair, f"--target={target}")
    mounted = ("with-mounted-file", "--path=/run/measure.py", f"--source={ROOT}/ci/programs/measure.py")
    command = (
        "with-user",
        "--name=root",
        *mounted,
        "with-exec",
        "--args=/opt/env/bin/python,/run/measure.py",
    )
    sizes = json.loads(timed(*image, *command, "stdout")[1])
    found.places, found.packages = sizes["places"], sizes["packages"]
    address = f"127.0.0.1:{registry}/bench:{target}-{cuda}"
    seconds, _ = timed(*image, "publish", f"--address={address}", "--forced-compression=Zstd")
    found.stages.append(("publish, zstd", seconds, 0.0))
    found.layers = layers(registry, f"{target}-{cuda}")
    seconds, found.verify = timed("verify", *pair, f"--target={target}")
    found.stages.append(("verify", seconds, 0.0))
    return found


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


def page(results: Sequence[Measured]) -> str:
    """Write the numbers down."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    text = [
        "# Benchmarks",
        "",
        "Written by `python -m tests.bench.real_cells`; every number was measured in that run.",
        (
            f"Machine: {os.cpu_count()} cores, {memory:.0f} GB of memory, {platform.system()}, embedded engine,"
            " `registries` sources. No GPU: compiled CUDA code was not run."
        ),
        "Seconds are wall time of one call, with some seconds for the call itself; sizes are MB (10^6 bytes).",
        "",
    ]
    for found in results:
        text += section(found)
    return "\n".join(text)


def section(found: Measured) -> list[str]:
    """Write one cell down."""
    on_disk = sum(found.places.values()) / 1e6
    compressed = sum(size for size, _ in found.layers) / 1e6
    lines = [f"## {found.cell}: {on_disk:,.0f} MB on disk, {compressed:,.0f} MB compressed (zstd)", ""]
    lines += ["| stage | longest, s | cached, s |", "|---|---|---|"]
    lines += [
        f"| {name} | {f'{first:.0f}' if first else ''} | {f'{again:.0f}' if again else ''} |"
        for name, first, again in found.stages
    ]
    lines += ["", f"Extensions, compiled for {found.wheels.get('arch_list') or 'the CPU'}:", ""]
    lines += ["| extension | wall, s | wheel, MB | objects |", "|---|---|---|---|"]
    packages = found.wheels["packages"]
    assert isinstance(packages, dict)
    for name, one in packages.items():
        lines.append(
            f"| {name} {one['version']} | {one['seconds']:.0f} | {one['bytes'] / 1e6:.1f} | {one['objects']} |"
        )
    lines += ["", "| layer | tar, MB | compressed, MB |", "|---|---|---|"]
    lines += [
        f"| {i} | {tar / 1e6:,.1f} | {size / 1e6:,.1f} |" for i, (size, tar) in enumerate(found.layers, 1)
    ]
    lines += ["", "| package | MB |", "|---|---|"]
    lines += [f"| {name} | {size / 1e6:,.1f} |" for name, size in found.packages.items()]
    lines += ["", "| place | MB |", "|---|---|"]
    lines += [f"| {name} | {size / 1e6:,.1f} |" for name, size in found.places.items()]
    return [*lines, "", "```", found.verify.strip(), "```", ""]


def main() -> None:
    """Measure the cells that are asked for, all by default, and write the page after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cells", type=int, nargs="+", default=range(len(CELLS)), help="their numbers, from 0"
    )
    results = []
    with TemporaryDirectory(dir=CACHE) as folder:
        succeed("functions")
        crane = next(CACHE.glob("parts/tools-*/crane"))
        with image_registry(crane, Path(folder)) as registry:
            for number in parser.parse_args().cells:
                results.append(measure(*CELLS[number], registry))
                RESULTS.write_text(page(results), "utf-8")


if __name__ == "__main__":
    main()
