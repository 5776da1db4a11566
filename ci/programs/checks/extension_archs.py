"""Check that the CUDA code in the compiled extensions is for the GPUs that the image supports.

It is read without cuobjdump, which runtime images lack.
"""

from __future__ import annotations

import argparse
import mmap
from importlib import metadata
from pathlib import Path

from check import CheckError, Facts, run_check

from common.elf import NotElfError, parse_elf
from common.fatbin import SECTION, count_code, parse_architectures

EXTENSIONS = ("torch-scatter", "torch-sparse", "torch-cluster", "torch-spline-conv")


def read_architectures(library: Path) -> set[str]:
    """Return the architectures that a library has CUDA code for: sm_80 as machine code, compute_80 as PTX."""
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            sections = [section for section in parse_elf(data).sections if section.name == SECTION]
        except NotElfError as error:
            raise CheckError(f"{library.name}: {error}") from error
        return {arch for section in sections for arch in count_code(data, section.offset, section.size)}


def modules(package: str) -> list[Path]:
    """Return the CUDA modules of an installed package."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise CheckError(f"{package} is not installed") from error
    return sorted(Path(str(file.locate())) for file in files if file.name.endswith("_cuda.so"))


def check() -> Facts:
    """Read the architectures of all modules, and compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extensions", nargs="*", default=EXTENSIONS)
    parser.add_argument(
        "--expect", default="", metavar="ARCH_LIST", help="e.g. '8.0;9.0+PTX'; without it nothing is compared"
    )
    options = parser.parse_args()
    try:
        expected = parse_architectures(options.expect) if options.expect else None
    except ValueError as error:
        raise CheckError(str(error)) from error
    facts: dict[str, list[str]] = {}
    for package in options.extensions:
        for path in modules(package):
            found = read_architectures(path)
            if not found:
                continue  # a module of host code only, like _version_cuda.so
            if expected is not None and found != expected:
                raise CheckError(
                    f"{path.name} of {package} is for {' '.join(sorted(found))}, not for {options.expect}"
                )
            facts[package] = sorted(found.union(facts.get(package, ())))
        if package not in facts:
            raise CheckError(f"{package} has no CUDA code")
    return {"architectures": facts}


if __name__ == "__main__":
    run_check(check)
