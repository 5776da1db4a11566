"""Every installed package has the packages that it requires, in versions that it accepts."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

from promise import Facts, PromiseError, keep


def check() -> Facts:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"], capture_output=True, text=True
    )
    if done.returncode:
        raise PromiseError("; ".join((done.stdout.strip() or done.stderr.strip()).splitlines()))
    return {"packages": len(list(metadata.distributions()))}


if __name__ == "__main__":
    keep(check)
