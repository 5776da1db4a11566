"""Check that a user can make a conda environment with a package from a channel."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check

from common.repodata import SUBDIRS, write_repodata

NAME, TEXT = "checked", b"kept\n"


def channel(folder: Path) -> Path:
    """Write a channel with one package, which has one file."""
    index = {
        "name": NAME,
        "version": "1.0",
        "build": "0",
        "build_number": 0,
        "depends": [],
        "subdir": "noarch",
        "arch": None,
        "platform": None,
    }
    digest = hashlib.sha256(TEXT).hexdigest()
    row = {"_path": "share/checked", "path_type": "hardlink", "sha256": digest, "size_in_bytes": len(TEXT)}
    files = {
        "info/index.json": json.dumps(index).encode(),
        "info/paths.json": json.dumps({"paths": [row], "paths_version": 1}).encode(),
        "info/files": b"share/checked\n",
        "share/checked": TEXT,
    }
    (folder / "noarch").mkdir(parents=True)
    archive = folder / "noarch" / f"{NAME}-1.0-0.tar.bz2"
    with tarfile.open(archive, "w:bz2") as out:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))
    content = archive.read_bytes()
    record = {**index, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    for subdir in SUBDIRS:
        write_repodata(folder / subdir, {archive.name: record} if subdir == "noarch" else {})
    return folder


def check() -> Facts:
    """Make a channel, and an environment from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--command", nargs="+", default=["conda-env"], help="the tool that makes environments"
    )
    command = parser.parse_args().command
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = channel(folder / "channel")
        options = ["--prefix", str(folder / "env"), "--pkgs-cache", str(folder / "pkgs")]
        try:
            done = subprocess.run(
                [*command, "create", *options, "--channel", made.as_uri(), "--spec", NAME],
                capture_output=True,
                text=True,
            )
        except FileNotFoundError as error:
            raise CheckError(f"no {command[0]}") from error
        if done.returncode:
            raise CheckError("; ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]))
        found = folder / "env/share/checked"
        require(found.is_file() and found.read_bytes() == TEXT, "the package's file is not there")
    return {"made": NAME}


if __name__ == "__main__":
    run_check(check)
