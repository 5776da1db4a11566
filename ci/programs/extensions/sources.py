"""Download source archives, and unpack them at a fixed path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

from common.errors import UserError
from common.pip import explain_pip
from extensions.commands import Package

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def download(options: argparse.Namespace, folder: Path) -> None:
    """Download the source archives by pip, which requires all hashes as soon as a requirements file has one."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    command += ["--no-build-isolation", "--no-cache-dir", "--dest", str(folder), *options.packages]
    for file in options.requirements:
        command += ["--requirement", str(file)]
    env = {**os.environ, "FORCE_CUDA": "0", "FORCE_ONLY_CPU": "1"}  # pip asks each setup.py for its name
    with explain_pip() as logged:
        done = subprocess.run(
            [*command, *logged], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            print(done.stdout[-3000:], file=sys.stderr)
            lines = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
            raise UserError(f"pip download: {lines[-1] if lines else f'exit status {done.returncode}'}")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack name-version.tar.gz, and return its single folder."""
    with tarfile.open(archive) as tar:
        tops = {name.split("/")[0] for name in tar.getnames()}
        if len(tops) != 1:
            raise UserError(f"{archive.name}: not a source archive, it has {len(tops)} folders")
    subprocess.run(
        ["tar", "-xzf", archive, "-C", folder, "--no-same-owner"], check=True
    )  # 3.11.2 has no extractall filter
    source = folder / tops.pop()
    if not (source / "setup.py").is_file():
        raise UserError(f"{archive.name}: no setup.py")
    return source


def unpack_packages(options: argparse.Namespace) -> list[Package]:
    """Download the source archives unless they were given, and unpack them into an empty working folder."""
    for name in ("sdists", "source", "build"):
        shutil.rmtree(options.work / name, ignore_errors=True)
        (options.work / name).mkdir(parents=True)
    options.out.mkdir(parents=True, exist_ok=True)
    archives = options.sdists
    if archives is None:
        archives = options.work / "sdists"
        download(options, archives)
    packages = []
    for archive in sorted(archives.glob("*.tar.gz")):
        source = unpack(archive, options.work / "source")
        name, _, version = source.name.rpartition("-")
        folder = options.work / "build" / name
        folder.mkdir()
        packages.append(Package(name.replace("_", "-"), version, source, folder))
    if not packages:
        raise UserError(f"{archives}: no source archive (*.tar.gz)")
    return packages
