"""Check that conda's tools know the environment: it is listed, and conda-pack exports it again.

conda-pack refuses an environment of which files are missing that conda's lists name.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check

# Packages of pip are most of the environment, and not what conda-pack looks for in conda's lists.
LEFT_OUT = ("lib/python3*/site-packages/*",)


def run(words: list[str]) -> str:
    """Run a command, and return what it prints.

    Raises:
        CheckError: it fails or is not there; with the last lines that it printed.
    """
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CheckError(f"no {words[0]}") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise CheckError(f"{Path(words[0]).name}: {' '.join(lines[-3:])}")
    return done.stdout


def list_missing(prefix: Path) -> list[str]:
    """Return the files that conda's lists name and that are not there, as `package: file`."""
    missing = []
    for record in sorted((prefix / "conda-meta").glob("*.json")):
        data = json.loads(record.read_text("utf-8"))
        rows = data.get("paths_data", {}).get("paths", [])
        names = {*data.get("files", []), *(row["_path"] for row in rows)}
        gone = sorted(name for name in names if not name.endswith(".pyc") and not (prefix / name).is_symlink()
                      and not (prefix / name).exists())  # fmt: skip
        missing += [f"{data['name']}: {name}" for name in gone]
    return missing


def check() -> Facts:
    """List the environment and export it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefix", type=Path, default=Path(sys.prefix))
    parser.add_argument("--list", nargs="+", default=["conda-env", "list"], metavar="COMMAND")
    parser.add_argument("--pack", nargs="+", default=["conda-pack"], metavar="COMMAND")
    options = parser.parse_args()
    if missing := list_missing(options.prefix):
        raise CheckError(f"{len(missing)} listed files are missing, such as {missing[0]}")
    listed = json.loads(run([*options.list, "--prefix", str(options.prefix), "--json"]))
    require(bool(listed), "no conda package is listed")
    with tempfile.TemporaryDirectory() as name:
        archive = Path(name, "environment.tar")
        words = [*options.pack, "--prefix", str(options.prefix), "--output", str(archive), "--quiet"]
        run([*words, *(word for pattern in LEFT_OUT for word in ("--exclude", pattern))])
        with tarfile.open(archive) as packed:
            require("bin/conda-unpack" in packed.getnames(), "the archive has no bin/conda-unpack")
    return {"packages": len(listed)}


if __name__ == "__main__":
    run_check(check)
