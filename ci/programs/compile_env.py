"""Compile the modules of an environment to bytecode, so that no start compiles them again.

    /opt/env/bin/python compile_env.py TREE --prefix /opt/env [--without GLOB … | --without @FILE] [--jobs N]

TREE is the environment, or a part of it that is copied over the rest, and PREFIX where it is used, which stands in
the bytecode. The Python that runs this is the one that the bytecode is for.
The .pyc files are of the kind "unchecked hash" (PEP 552): Python takes them without a look at the source, they hold no
time, and compiling again gives the same bytes. Those of modules directly in site-packages are "checked hash": uv leaves
the folder of their bytecode as it is when it replaces one. Each has its source's time, and folders keep theirs.
A module that is not valid for this Python (a template, code for Python 2) is left without, and named.
Needs nothing but Python.
"""

# The loops here run over tens of thousands of files: plain strings and os functions, no Path objects.
# ruff: noqa: PTH112, PTH114, PTH116, PTH118, PTH119, PTH120, PTH202

from __future__ import annotations

import argparse
import importlib.util
import os
import py_compile
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from common.errors import UserError, run_main
from common.patterns import either

CHUNK = 64  # modules that a process gets at a time
LIBRARY = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"


@dataclass
class Report:
    """What was compiled, its size in bytes, and what is no valid module, with the reason."""

    files: int = 0
    size: int = 0
    invalid: dict[str, str] = field(default_factory=dict)


def find_modules(root: str, without: list[str]) -> list[str]:
    """Return the modules in the library folder of this Python, relative to the root, sorted."""
    left_out, found = either(without), []
    for folder, _, names in os.walk(os.path.join(root, LIBRARY)):
        for name in names:
            path = os.path.join(folder, name)
            below = os.path.relpath(path, root)
            # What is behind a link belongs to whoever has the file itself.
            if name.endswith(".py") and not os.path.islink(path) and not left_out.fullmatch(below):
                found.append(below)
    return sorted(found)


def choose_mode(module: str) -> py_compile.PycInvalidationMode:
    """Return how Python is to look at the bytecode of a module."""
    shared = os.path.basename(os.path.dirname(module)) == "site-packages"
    modes = py_compile.PycInvalidationMode
    return modes.CHECKED_HASH if shared else modes.UNCHECKED_HASH


def compile_module(module: str, root: str, prefix: str) -> tuple[str, int, str]:
    """Compile one module; return its path, the size of its bytecode, and why there is none."""
    source = os.path.join(root, module)
    target = importlib.util.cache_from_source(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the packages' own code
            py_compile.compile(
                source,
                target,
                f"{prefix}/{module}",
                doraise=True,
                invalidation_mode=choose_mode(module),
            )
    except (py_compile.PyCompileError, RecursionError) as error:
        if os.path.lexists(target):
            os.unlink(target)  # noqa: PTH108 - of an older source
        lines = str(error).strip().splitlines()
        return module, 0, lines[-1] if lines else type(error).__name__
    status = os.stat(source)
    os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
    return module, os.path.getsize(target), ""


def compile_tree(root: str, prefix: str, without: list[str], jobs: int) -> Report:
    """Compile the modules of a tree, `jobs` at a time."""
    modules = find_modules(root, without)
    folders = {os.path.join(root, os.path.dirname(module)) for module in modules}
    times = {folder: os.stat(folder).st_mtime_ns for folder in folders}
    report = Report()
    work = partial(compile_module, root=root, prefix=prefix)
    with ProcessPoolExecutor(jobs) as pool:
        for module, size, reason in pool.map(work, modules, chunksize=CHUNK):
            report.files += not reason
            report.size += size
            if reason:
                report.invalid[module] = reason
    for folder, when in times.items():
        for path in (os.path.join(folder, "__pycache__"), folder):
            if os.path.isdir(path):
                os.utime(path, ns=(when, when))
    return report


def work(options: argparse.Namespace) -> None:
    """Compile, and print how much that is."""
    root, prefix = os.path.realpath(options.root), options.prefix.rstrip("/")
    if not os.path.isdir(root):
        raise UserError(f"no such folder: {options.root}")
    if not prefix.startswith("/"):
        raise UserError(f"--prefix {options.prefix} is not absolute")
    began = time.monotonic()
    report = compile_tree(root, prefix, options.without, options.jobs)
    seconds = time.monotonic() - began
    print(f"{report.files} modules, {report.size / 1e6:.1f} MB of bytecode in {seconds:.1f} s")
    for module, reason in report.invalid.items():
        print(f"without bytecode: {module}: {reason}")


def main() -> int:
    """Compile a tree; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fromfile_prefix_chars="@",  # a file of patterns, a line each
    )
    parser.add_argument("root", metavar="TREE")
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--without", nargs="*", action="extend", default=[], metavar="GLOB")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    options = parser.parse_args()
    os.umask(0o022)
    return run_main("compile_env.py", lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
