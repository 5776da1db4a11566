"""Compares compressions on the layers of a real image: `python -m benchmarks.compression` (a runtime is built).

The image is published once, its layers are read back as tars, and compressed by the programs that people have: zstd at
several levels and gzip. Times are those of one thread, as ratios to zstd's default level in the same run.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.page import machine, put
from benchmarks.real_cells import call, layers
from tests.engine.conftest import succeed
from tests.stand_ins.cache import CACHE
from tests.stand_ins.servers import image_registry

CELL = ("--cuda=12.8.1", "--python=3.13", "--target=ray-runtime")
WAYS = {
    "zstd -1": ["zstd", "-1", "-T1"],
    "zstd -3 (its default)": ["zstd", "-3", "-T1"],
    "zstd -9": ["zstd", "-9", "-T1"],
    "gzip -6 (its default)": ["gzip", "-6"],
}


def run(command: list[str], source: Path, target: Path) -> float:
    """Run a filter and return its seconds."""
    began = time.monotonic()
    with source.open("rb") as given, target.open("wb") as made:
        subprocess.run(command, stdin=given, stdout=made, check=True)
    return time.monotonic() - began


def main() -> None:
    """Measure, and write the page."""
    with TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        succeed("functions")
        crane = next(CACHE.glob("parts/tools-*/crane"))
        with image_registry(crane, folder / "registry") as registry:
            address = f"--address=127.0.0.1:{registry}/bench:one"
            call("build", *CELL, "publish", address, "--forced-compression=Zstd")
            sizes = layers(registry, "one")
            manifest = f"http://127.0.0.1:{registry}/v2/bench"
            for number in range(len(sizes)):
                fetch(manifest, number, folder / "layers.tar")
        shutil.rmtree(folder / "registry")  # the tar and what it is packed to take enough of the disk
        rows = []
        found = {}
        for way, command in WAYS.items():
            packed = folder / "packed"
            seconds = run(command, folder / "layers.tar", packed)
            back = run([command[0], "-dc"], packed, Path(os.devnull))
            found[way] = (packed.stat().st_size, seconds, back)
            packed.unlink()
            print(f"{way}: {found[way]}", flush=True)
        whole = (folder / "layers.tar").stat().st_size
        usual = found["zstd -3 (its default)"]
        for way, (size, seconds, back) in found.items():
            rows.append(
                f"| {way} | {size / 1e6:,.0f} | {size / whole:.3f} | {seconds / usual[1]:.2f} | {back / usual[2]:.2f} |"
            )
    text = [
        "## Compression",
        "",
        f"`python -m benchmarks.compression`, {machine()}. The layers of 12.8.1 / 3.13 ray-runtime, tars of",
        f"{whole / 1e6:,.0f} MB; times of one thread as parts of those of zstd's default level, which are",
        f"{usual[1]:.0f} s, and {usual[2]:.0f} s to unpack.",
        "",
        "| | MB | of the tar | time | time to unpack |",
        "|---|---|---|---|---|",
        *rows,
    ]
    put("compression", "\n".join(text))


def fetch(base: str, number: int, target: Path) -> None:
    """Read a layer as a tar, and add it to a file."""
    request = urllib.request.Request(f"{base}/manifests/one")  # noqa: S310 - http, on loopback
    request.add_header("Accept", "application/vnd.oci.image.manifest.v1+json")
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - http, on loopback
        digest = json.load(answer)["layers"][number]["digest"]
    with (
        urllib.request.urlopen(f"{base}/blobs/{digest}") as answer,  # noqa: S310 - http, on loopback
        target.open("ab") as made,
        subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=made) as zstd,
    ):
        assert zstd.stdin
        shutil.copyfileobj(answer, zstd.stdin, 1 << 20)
        zstd.stdin.close()


if __name__ == "__main__":
    main()
