"""Check that a user can install a package with pip."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check

from common.small_wheels import write_wheel

NAME, ANSWER = "checked_package", "42"


def check() -> Facts:
    """Install a wheel and import its module."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = write_wheel(folder, NAME, "1.0", {f"{NAME}.py": f"answer = {ANSWER}\n"})
        command = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--no-index",
        ]
        command += ["--no-deps", "--no-cache-dir", "--target", str(folder / "site"), str(wheel)]
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
