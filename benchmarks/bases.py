"""Compares bases of runtime images by what they add: `python -m benchmarks.bases`, after a real runtime was built.

NVIDIA's images cannot be had where this is developed. Their flavours are told by what they hold: `runtime` has CUDA's
libraries, `cudnn-runtime` cuDNN as well. The very same libraries are in the environment, from the wheels that torch
needs; what they take there, by the ledger of the image, is what such a base has a second time.
"""

import json

from benchmarks.page import machine, put
from tests.engine.conftest import succeed

PAIR = ("--cuda=13.1.1", "--python=3.14")
# What each flavour adds to the one before it, by the names of the packages on PyPI (their CUDA suffix left out).
FLAVOURS = {
    "base": ("nvidia-cuda-runtime",),
    "runtime": (
        *("nvidia-cublas", "nvidia-cufft", "nvidia-curand", "nvidia-cusolver", "nvidia-cusparse"),
        *("nvidia-nvjitlink", "nvidia-cuda-nvrtc", "nvidia-nccl", "nvidia-cusparselt"),
    ),
    "cudnn-runtime": ("nvidia-cudnn",),
}


def size_of(packages: dict[str, int], names: tuple[str, ...]) -> float:
    """Sum the packages of some names, in MB."""
    found = (
        size for name, size in packages.items() if name.removeprefix("pip:").rpartition("-cu")[0] in names
    )
    plain = (size for name, size in packages.items() if name.removeprefix("pip:") in names)
    return (sum(found) + sum(plain)) / 1e6


def main() -> None:
    """Measure, and write the page."""
    whole = json.loads(succeed("call", "size", *PAIR, "--target=runtime", "--format=json"))
    minimal = json.loads(
        succeed("call", "--variant=minimal", "size", *PAIR, "--target=runtime", "--format=json")
    )
    layers, bare = whole["layers"], minimal["layers"]["runtime-base"] / 1e6
    own = layers["runtime-base"] / 1e6
    rows = [
        f"| Debian, tini (variant `minimal`) | {bare:,.0f} | |",
        f"| the same with gcc and a trimmed CUDA toolkit (the default) | {own:,.0f} | nothing |",
    ]
    twice = 0.0
    for flavour, names in FLAVOURS.items():
        twice += size_of(whole["packages"], names)
        rows.append(f"| like `nvidia/cuda:…-{flavour}` | {bare + twice:,.0f} | {twice:,.0f} |")
    text = [
        "## Bases of runtime images",
        "",
        f"`python -m benchmarks.bases`, {machine()}, 13.1.1 / 3.14. The last three rows are computed: they take the",
        "libraries of such an image to be as large as the same ones from the wheels; without compilers.",
        "",
        "| base | MB | of these a second time in the image |",
        "|---|---|---|",
        *rows,
    ]
    put("bases", "\n".join(text))


if __name__ == "__main__":
    main()
