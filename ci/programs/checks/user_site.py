"""Check that what a user installs with pip is found, its command too, and that no other home brings packages."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check

from common.small_wheels import write_wheel

MODULE, COMMAND, ANSWER = "checked_user_package", "checked-user-command", "42"


def run(*command: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise CheckError(f"{command[0]}: {'; '.join(lines)}")
    return done.stdout.strip()


def check() -> Facts:
    """Import a package of the environment; install one, run its command and import its module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", default="numpy", help="one of the environment (default: %(default)s)")
    package = parser.parse_args().package
    there = run(sys.executable, "-c", f"import {package}; print({package}.__file__)")
    inside = Path(there).is_relative_to(sys.prefix)
    require(inside, f"{package} is imported from {there}, which is not of the image")
    with tempfile.TemporaryDirectory() as folder:
        files, commands = {f"{MODULE}.py": f"def main():\n    print({ANSWER})\n"}, {COMMAND: f"{MODULE}:main"}
        wheel = write_wheel(Path(folder), MODULE, "1.0", files, commands)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        run(*pip, "--no-index", "--no-deps", "--no-cache-dir", str(wheel))
    command = shutil.which(COMMAND)
    require(command is not None, "the command that pip installed is not on PATH")
    require(run(str(command)) == ANSWER, f"{command} does not run")
    require(
        run(sys.executable, "-c", f"import {MODULE}; {MODULE}.main()") == ANSWER, "the module is not found"
    )
    return {"command": command}


if __name__ == "__main__":
    run_check(check)
