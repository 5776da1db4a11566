"""Compares a real cell with what its Dockerfile gives: `python -m benchmarks.dockerfile` (compiles PyG's extensions).

The Dockerfile of the pair is built by the engine's BuildKit with its own cache mounts, published beside the image that
Dagger composes, and both are read back: packages, configuration, and every file with mode, owner and content.
"""

import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.page import machine, put
from benchmarks.real_cells import call
from tests.engine.conftest import succeed
from tests.stand_ins import images
from tests.stand_ins.cache import CACHE
from tests.stand_ins.dockerfile import write_context
from tests.stand_ins.servers import image_registry

PAIR = ("--cuda=cpu", "--python=3.13")
TARGET = "runtime"
# What may differ in a real cell: patterns of paths.
FILES = {
    "opt/env/conda-meta/history": "conda's log has the time at which the environment was made",
}
KEYS = ("Env", "Labels", "Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts")


def main() -> None:
    """Build both, compare them, and write the page."""
    with TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        succeed("functions")
        crane = next(CACHE.glob("parts/tools-*/crane"))
        with image_registry(crane, folder / "registry") as registry:
            composed, built = (f"127.0.0.1:{registry}/parity:{way}" for way in ("composed", "built"))
            began = time.monotonic()
            call("build", *PAIR, f"--target={TARGET}", "publish", f"--address={composed}")
            print(f"composed in {time.monotonic() - began:.0f} s", flush=True)
            context = folder / "context"
            file = write_context(context, "cpu-py3.13", "call", "dockerfile", *PAIR)
            began = time.monotonic()
            program = (sys.executable, "-m", "tests.stand_ins.docker_build")
            succeed("run", *program, str(context), file, TARGET, built)
            print(f"built in {time.monotonic() - began:.0f} s", flush=True)
            put("dockerfile", "\n".join(section(images.read(crane, composed), images.read(crane, built))))


def section(composed: images.Image, built: images.Image) -> list[str]:
    """Tell what is the same, and everything that is not."""
    every, odd = images.differing(composed, built, {}), images.differing(composed, built, FILES)
    keys = [key for key in KEYS if composed.config.get(key) != built.config.get(key)]
    same = len({**composed.files, **built.files}) - len(every)
    packages = sorted(composed.packages ^ built.packages)
    kinds = Counter(name.split()[0] for name in composed.packages & built.packages)
    counted = ", ".join(f"{count} of {kind}" for kind, count in sorted(kinds.items()))
    return [
        "## A Dockerfile's image beside the composed one",
        "",
        f"`python -m benchmarks.dockerfile`, {machine()}, the `registries` sources, the real {TARGET} of cpu / 3.13.",
        "",
        "| | the same | differ |",
        "|---|---|---|",
        f"| packages with versions | {counted} | {', '.join(packages) or 'none'} |",
        f"| configuration | {len(KEYS) - len(keys)} of {len(KEYS)} keys | {', '.join(keys) or 'none'} |",
        f"| files | {same:,} | {len(every)}, {len(odd)} without a reason |",
        "",
        *(f"- may differ: `{pattern}`: {why}" for pattern, why in FILES.items()),
        *(f"- differs: `{one.split(':')[0]}`" for one in odd[:40]),
    ]


if __name__ == "__main__":
    main()
