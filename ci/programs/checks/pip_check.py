"""Check that the requirements of every installed package are met."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

from check import CheckError, Facts, run_check


def check() -> Facts:
    """Run `pip check`."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"], capture_output=True, text=True
    )
    if done.returncode:
        raise CheckError("; ".join((done.stdout.strip() or done.stderr.strip()).splitlines()))
    return {"packages": len(list(metadata.distributions()))}


if __name__ == "__main__":
    run_check(check)
