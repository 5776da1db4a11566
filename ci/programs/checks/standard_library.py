"""Check that the standard library has its outside parts: certificates, time zones, compression, a database."""

from __future__ import annotations

import importlib
import sqlite3
import ssl
import subprocess
import sys
import sysconfig
import zoneinfo
from pathlib import Path

from check import CheckError, Facts, require, run_check

# Compiled modules, each of which needs a library that is not part of Python.
COMPILED = ("bz2", "ctypes", "curses", "lzma", "readline", "ssl", "sqlite3", "uuid", "zlib")


def check() -> Facts:
    """Import the modules, and use what they need."""
    wrong = []
    for name in COMPILED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            wrong.append(f"{name} ({error})")
    require(not wrong, f"cannot import {'; '.join(wrong)}")
    paths = ssl.get_default_verify_paths()
    # A folder of certificates is read on demand: only the certificates of a file are counted here.
    trusted = len(ssl.create_default_context().get_ca_certs())
    folder = Path(paths.capath) if paths.capath else None
    require(trusted > 0 or bool(folder and any(folder.iterdir())), "no certificate is trusted")
    try:
        zoneinfo.ZoneInfo("Asia/Tokyo")
    except zoneinfo.ZoneInfoNotFoundError as error:
        raise CheckError("no time zones") from error
    found = sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()
    require(found == (42,), f"sqlite gives {found}")
    for name in ("stdlib", "platstdlib", "purelib"):
        place = sysconfig.get_path(name)
        require(Path(place).is_dir(), f"{place}, where Python says that its {name} is, is not there")
    fresh = subprocess.run([sys.executable, "-I", "-c", "import encodings.idna"], capture_output=True)
    require(fresh.returncode == 0, "Python does not start in isolated mode")
    return {"certificates": trusted, "prefix": sys.prefix, "sqlite": sqlite3.sqlite_version}


if __name__ == "__main__":
    run_check(check)
