"""Check that whoever runs the image has a name, folders to write to, and a place for each cache."""

from __future__ import annotations

import argparse
import getpass
import importlib
import os
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check

# Where a cache is: by a variable, else below the home folder; None where the library has a folder in /tmp.
CACHES = {
    "pip, Hugging Face, torch.hub": ("XDG_CACHE_HOME", ".cache"),
    "marimo's settings": ("XDG_CONFIG_HOME", ".config"),
    "marimo's state": ("XDG_STATE_HOME", ".local/state"),
    "Triton": ("TRITON_CACHE_DIR", ".triton/cache"),
    "torch.compile": ("TORCHINDUCTOR_CACHE_DIR", None),
    "matplotlib": ("MPLCONFIGDIR", ".config/matplotlib"),
    "numba": ("NUMBA_CACHE_DIR", ".cache/numba"),
    "Ray": ("RAY_TMPDIR", None),
    "the driver's compiler": ("CUDA_CACHE_PATH", ".nv/ComputeCache"),
}


def try_to_write(folder: Path) -> str:
    """Return why a file cannot be written to a folder, which is made if it is not there; empty if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def check() -> Facts:
    """Ask for the name, and write to each place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="folders that must be writable besides")
    parser.add_argument(
        "--torch", action="store_true", help="ask torch itself where torch.compile's cache is"
    )
    options = parser.parse_args()
    try:
        name = getpass.getuser()
    except (KeyError, OSError) as error:
        raise CheckError(f"user {os.geteuid()} has no name: {error}") from error
    home = Path(os.environ.get("HOME") or "/")
    places = {str(folder): folder for folder in options.folders}
    for cache, (variable, usual) in CACHES.items():
        there = os.environ.get(variable)
        places[cache] = Path(there) if there else home / usual if usual else Path(tempfile.gettempdir())
    if options.torch:
        inductor = importlib.import_module("torch._inductor.runtime.cache_dir_utils")
        places["torch.compile's own choice"] = Path(inductor.cache_dir())
    wrong = [f"{what} ({folder}: {why})" for what, folder in places.items() if (why := try_to_write(folder))]
    require(not wrong, f"user {os.geteuid()}:{os.getegid()} cannot write for {'; '.join(wrong)}")
    return {"name": name, "uid": os.geteuid(), "gid": os.getegid(), "cache": str(places["Triton"])}


if __name__ == "__main__":
    run_check(check)
