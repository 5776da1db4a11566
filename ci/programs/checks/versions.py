"""Check that the image has the versions of its plan.

--expect takes JSON, or a file of it: {"python": "3.13", "torch": "2.11.0", "ray": null, "toolkit": "13.1.1"}.
A version given with fewer parts matches any that continues it (3.13: 3.13.9), a local part (+cu130) is compared
only if it is given, null means absent.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from check import CheckError, Facts, run_check

PACKAGES = (
    *("torch", "torchvision", "torchaudio", "triton", "torch-geometric"),
    *(
        "pyg-lib",
        "torch-scatter",
        "torch-sparse",
        "torch-cluster",
        "torch-spline-conv",
        "numpy",
        "ray",
        "marimo",
    ),
)


def cuda_home() -> Path:
    """Return the toolkit's folder."""
    return Path(os.environ.get("CUDA_HOME") or "/usr/local/cuda")


def toolkit() -> str | None:
    """Return the CUDA toolkit's version from its version.json, or from the variable that NVIDIA's images set."""
    try:
        return str(json.loads((cuda_home() / "version.json").read_text(encoding="utf-8"))["cuda"]["version"])
    except (OSError, ValueError, KeyError):
        return os.environ.get("CUDA_VERSION")


def nvcc() -> str | None:
    """Return the version of nvcc, None without one."""
    program = shutil.which("nvcc") or shutil.which(cuda_home() / "bin/nvcc")
    if program is None:
        return None
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\bV(\d+\.\d+\.\d+)", text)
    return found.group(1) if found else None


def installed(package: str) -> str | None:
    """Return the version of an installed package, None without one."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def find(names: list[str]) -> dict[str, str | None]:
    """Return the versions of Python, the toolkit, the usual packages and some more."""
    found: dict[str, str | None] = {"python": platform.python_version(), "toolkit": toolkit(), "nvcc": nvcc()}
    found |= {name: installed(name) for name in (*PACKAGES, *names) if name not in found}
    if found["torch"]:
        torch = importlib.import_module("torch")
        found["torch"], found["torch-cuda"] = str(torch.__version__), torch.version.cuda
    return found


def matches(found: str | None, expected: str | None) -> bool:
    """Return whether a version is an expected one, None for absent."""
    if found is None or expected is None:
        return found is expected
    if "+" not in expected:
        found = found.partition("+")[0]
    return found == expected or found.startswith(f"{expected}.")


def check() -> Facts:
    """Compare the expected versions with those found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expect", default="{}", metavar="FILE|JSON")
    text = parser.parse_args().expect
    given = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"))
    expected = {name.replace("_", "-"): version for name, version in given.items()}
    found = find(list(expected))
    wrong = [f"{n} is {found.get(n)}, not {e}" for n, e in expected.items() if not matches(found.get(n), e)]
    if wrong:
        raise CheckError("; ".join(wrong))
    return {"versions": {name: version for name, version in found.items() if version is not None}}


if __name__ == "__main__":
    run_check(check)
