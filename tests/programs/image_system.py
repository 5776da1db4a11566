"""A copy of this machine's system folders, in a mount namespace, in which programs add users and write settings."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.programs.conftest import PROGRAMS

# /etc is a copy, the others are empty: what is written there is gone when the command ends.
_APART = """
set -e
mkdir -p "$copy"/upper "$copy"/programs
mount -t tmpfs -o mode=755 tmpfs "$copy/upper"
cp -a /etc "$copy/upper/etc"
mount --bind "$copy/upper/etc" /etc
rm -f /etc/profile.d/*  # of this machine alone
for folder in /run /home /root; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
cp -r "$copy/programs" /run/programs
chmod -R go+rX /run/programs
for folder in /var/log /tmp; do mount -t tmpfs -o mode=1777 tmpfs "$folder"; done
exec "$@"
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a mount namespace and other users")


def run_apart(
    folder: Path, script: str, *, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script by sh, as root, with the programs in /run/programs; `folder` is a place on a disk for the copy."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROGRAMS, folder / "programs", ignore=ignored, dirs_exist_ok=True)
    command = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        _APART,
        "sh",
        "sh",
        "-euc",
        script,
    ]
    plain = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "copy": str(folder),
        **(variables or {}),
    }
    return subprocess.run(command, env=plain, cwd="/", capture_output=True, text=True, check=False)
