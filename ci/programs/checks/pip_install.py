"""Check that a user can install a package with pip."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from check import CheckError, Facts, require, run_check

NAME, ANSWER = "checked_package", "42"


def wheel(folder: Path) -> Path:
    """Write a wheel with one module."""
    info = f"{NAME}-1.0.dist-info"
    files = {
        f"{NAME}.py": f"answer = {ANSWER}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: check\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    made = folder / f"{NAME}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made


def check() -> Facts:
    """Install a wheel and import its module."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--no-index",
        ]
        command += ["--no-deps", "--no-cache-dir", "--target", str(folder / "site"), str(wheel(folder))]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise CheckError("; ".join(done.stderr.strip().splitlines()) or f"exit status {done.returncode}")
        program = f"import sys; sys.path.insert(0, sys.argv[1]); import {NAME}; print({NAME}.answer)"
        ran = subprocess.run(
            [sys.executable, "-c", program, str(folder / "site")], capture_output=True, text=True
        )
    require(
        ran.stdout.strip() == ANSWER, f"what was installed cannot be imported: {ran.stderr.strip()[-200:]}"
    )
    return {"installed": NAME}


if __name__ == "__main__":
    run_check(check)
