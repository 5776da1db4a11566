"""Check that packages can be copied out of the environment: none of their links leads nowhere, and copies are files."""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check


def find_links(packages: Path) -> list[Path]:
    """Return all links among the packages, the smallest file first.

    Raises:
        CheckError: a link leads nowhere.
    """
    found = []
    for folder, folders, names in os.walk(packages):
        found += [path for name in (*folders, *names) if (path := Path(folder, name)).is_symlink()]
    if broken := sorted(path for path in found if not path.exists()):
        raise CheckError(f"{broken[0]} leads nowhere, as {len(broken)} links do")
    return sorted(found, key=lambda path: path.stat().st_size)


def check() -> Facts:
    """Copy the folder of a library that is behind a link, and load the copy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", nargs="+", default=["copy-packages"])
    options = parser.parse_args()
    packages = Path(sysconfig.get_path("purelib"))
    links = find_links(packages)
    libraries = [path for path in links if re.search(r"^lib[\w-]+\.so(\.|$)", path.name)]
    require(bool(libraries), f"no library in {packages} is a link")
    wanted = str(libraries[0].relative_to(packages))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "packages")
        try:
            done = subprocess.run([*options.command, str(folder), wanted], capture_output=True, text=True)
        except FileNotFoundError as error:
            raise CheckError(f"no {options.command[0]}") from error
        require(done.returncode == 0, done.stderr.strip() or f"it ends with {done.returncode}")
        copy = folder / wanted
        require(copy.is_file() and not copy.is_symlink(), f"{wanted} is not copied as a file")
        ctypes.CDLL(str(copy))
    return {"links": len(links), "copied": wanted}


if __name__ == "__main__":
    run_check(check)
