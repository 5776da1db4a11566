"""Check that a driver is found where cloud providers mount it, by libraries and by commands. Only root can run it."""

from __future__ import annotations

import argparse
import ctypes.util
import shutil
import subprocess
import sys
from pathlib import Path

from check import Facts, require, run_check

# What loads it, as a program that knows nothing of the folder does.
LOAD = "import ctypes; ctypes.CDLL('libcuda.so.1'); print(open('/proc/self/maps').read())"
ANY_USER = ["setpriv", "--clear-groups", "--reuid", "12345", "--regid", "0"]


def mount_driver(folder: Path) -> None:
    """Put a library and a command of the driver's names where the provider would mount them."""
    library = ctypes.util.find_library("m") or "libm.so.6"
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import ctypes; ctypes.CDLL({library!r}); print(open('/proc/self/maps').read())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    path = next(line.split()[-1] for line in loaded.stdout.splitlines() if "/libm" in line)
    (folder / "lib64").mkdir(parents=True)
    (folder / "bin").mkdir()
    shutil.copy(path, folder / "lib64/libcuda.so.1")
    command = folder / "bin/nvidia-smi"
    command.write_text("#!/bin/sh\necho mounted\n", "utf-8")
    command.chmod(0o755)


def check() -> Facts:
    """Load the library and run the command: as root, as any user, in a login shell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", type=Path, default=Path("/usr/local/nvidia"), help="default: %(default)s")
    folder = parser.parse_args().at
    if not (folder / "lib64/libcuda.so.1").exists():  # else the engine's machine has mounted its own
        mount_driver(folder)
    logins: dict[str, list[str]] = {
        "root": [],
        "any user": ANY_USER,
        "a login": ["env", "-i", "HOME=/", "bash", "-lc", 'exec "$0" "$@"'],
    }
    for name, prefix in logins.items():
        loaded = subprocess.run([*prefix, sys.executable, "-c", LOAD], capture_output=True, text=True)
        found = loaded.returncode == 0 and str(folder / "lib64/libcuda.so.1") in loaded.stdout
        require(found, f"{name} does not load libcuda.so.1 from {folder}: {loaded.stderr.strip()[-200:]}")
        found_at = subprocess.run(
            [*prefix, "sh", "-c", "command -v nvidia-smi"], capture_output=True, text=True
        ).stdout.strip()
        require(
            found_at == str(folder / "bin/nvidia-smi"),
            f"{name} does not find nvidia-smi in {folder}: {found_at or 'it is not on PATH'}",
        )
    return {"mounted": str(folder), "logins": list(logins)}


if __name__ == "__main__":
    run_check(check)
