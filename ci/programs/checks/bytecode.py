"""Check that the environment's modules are compiled, so that no start compiles them again.

Each has bytecode of the kind that Python takes without a look at the source (PEP 552), made of that source; those
directly in site-packages have the kind that Python compares with the source by a hash. Left out are what a pattern
names (`--without GLOB…`, or `--without @FILE`) by its path below the environment, what is behind a link, and what is no
valid module.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import sysconfig
import warnings
from pathlib import Path

from check import CheckError, Facts, require, run_check

from common.patterns import either

# The flags of a .pyc that holds its source's hash, which Python does not compare, or compares.
UNCHECKED, CHECKED = 0b01, 0b11


def find_modules(folder: Path, prefix: Path, without: list[str]) -> list[Path]:
    """Return the modules below a folder of the environment."""
    left_out = either(without)
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            below = str(path.relative_to(prefix))
            if name.endswith(".py") and not path.is_symlink() and not left_out.fullmatch(below):
                found.append(path)
    return found


def find_problem(module: Path) -> str:
    """Return what is wrong with a module's bytecode, empty if nothing is."""
    source = module.read_bytes()
    cached = Path(importlib.util.cache_from_source(str(module)))
    if not cached.is_file():
        return "has no bytecode" if is_valid(source) else ""
    with cached.open("rb") as file:
        head = file.read(16)
    if head[:4] != importlib.util.MAGIC_NUMBER:
        return "has bytecode of another Python"
    if int.from_bytes(head[4:8], "little") != (
        CHECKED if module.parent.name == "site-packages" else UNCHECKED
    ):
        return "has bytecode of another kind"
    return "" if head[8:] == importlib.util.source_hash(source) else "has bytecode of another source"


def is_valid(source: bytes) -> bool:
    """Return whether a text is a module for this Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "module", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def check() -> Facts:
    """Look at each module."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--prefix", type=Path, default=Path(sys.prefix), help="the environment")
    parser.add_argument("--folder", type=Path, default=Path(sysconfig.get_path("stdlib")))
    parser.add_argument("--without", nargs="*", default=[], metavar="GLOB")
    options = parser.parse_args()
    modules = find_modules(options.folder, options.prefix, options.without)
    require(bool(modules), f"no modules in {options.folder}")
    wrong = [f"{path.relative_to(options.prefix)} {text}" for path in modules if (text := find_problem(path))]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckError(f"{'; '.join(sorted(wrong)[:3])}{more}")
    return {"modules": len(modules)}


if __name__ == "__main__":
    run_check(check)
