"""Check that shells and sessions of all users have the image's variables, and find its Python. Only root can run it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from check import CheckError, Facts, require, run_check

SHOW = "command -v python; env"
ANY_USER = ("12345", "0")  # no entry in /etc/passwd


def list_logins(user: str, number: str) -> dict[str, list[str]]:
    """List the ways in which people come to a shell, each as a command that runs `SHOW`."""
    become = ["setpriv", "--clear-groups", "--reuid"]
    people = {
        "root": [],
        user: [*become, number, "--regid", number],
        "any user": [*become, ANY_USER[0], "--regid", ANY_USER[1]],
    }
    logins = {}
    for name, prefix in people.items():
        logins[f"sh of {name}"] = [*prefix, "sh", "-c", SHOW]
        logins[f"bash -l of {name}"] = [*prefix, "bash", "-lc", SHOW]
        # As sshd and cron start one: nothing of the container's variables is left.
        home = "/root" if name == "root" else f"/home/{user}"
        bare = [*prefix, "env", "-i", f"HOME={home}"]
        logins[f"bash -l of {name}, without variables"] = [*bare, "bash", "-lc", SHOW]
        logins[f"sh -l of {name}, without variables"] = [*bare, "sh", "-lc", SHOW]
    for name in ("root", user):
        logins[f"su - {name}"] = ["su", "-", name, "-c", SHOW]
        # No login shell: PAM alone gives the session its variables, as to `ssh HOST COMMAND`.
        logins[f"a PAM session of {name}"] = ["env", "-i", "su", name, "-c", SHOW]
    return logins


def find_differences(command: list[str], expected: dict[str, str]) -> list[str]:
    """Return what a shell has not as the image has it."""
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    if done.returncode:
        return [f"ends with {done.returncode}: {done.stderr.strip()[-200:]}"]
    python, *lines = done.stdout.splitlines() or [""]
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    wrong = [
        f"{name} is {found.get(name)}, not {value}"
        for name, value in expected.items()
        if found.get(name) != value
    ]
    if Path(python) != Path(shutil.which("python") or sys.executable):
        wrong.append(f"python is {python or 'not found'}")
    return wrong


def check() -> Facts:
    """Start each shell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expect", type=Path, required=True, help="a JSON file of variables")
    parser.add_argument("--user", required=True, help="the name of the image's user")
    options = parser.parse_args()
    require(os.geteuid() == 0, "only root can be other users")
    expected: dict[str, str] = json.loads(options.expect.read_text("utf-8"))
    number = subprocess.run(["id", "-u", options.user], capture_output=True, text=True, check=True)
    logins = list_logins(options.user, number.stdout.strip())
    wrong = {
        name: differences
        for name, command in logins.items()
        if (differences := find_differences(command, expected))
    }
    if wrong:
        first, differences = next(iter(wrong.items()))
        raise CheckError(
            f"{len(wrong)} of {len(logins)} shells differ, first {first}: {'; '.join(differences[:2])}"
        )
    return {"variables": len(expected), "shells": len(logins)}


if __name__ == "__main__":
    run_check(check)
