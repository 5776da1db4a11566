"""Check that the image's user is not root but a number, and can write to its folders.

Kubernetes' `runAsNonRoot` refuses an image whose user is a name, because it cannot tell whether that is root's.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check


def check() -> Facts:
    """Write a file to each folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        help="default: the home folder, the working folder, the temporary one",
    )
    parser.add_argument("--user", default="", help="the image's user, as its configuration has it")
    options = parser.parse_args()
    folders = options.folders or [Path.home(), Path.cwd(), Path(tempfile.gettempdir())]
    require(os.geteuid() != 0, "the image's user is root")
    if options.user:
        numbers = re.fullmatch(r"[0-9]+(:[0-9]+)?", options.user)
        require(
            bool(numbers), f"the image's user is {options.user!r}: Kubernetes' runAsNonRoot needs a number"
        )
    for folder in folders:
        try:
            with tempfile.NamedTemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise CheckError(f"user {os.geteuid()} cannot write {folder}: {error.strerror}") from error
    return {"uid": os.geteuid(), "gid": os.getegid(), "folders": [str(folder) for folder in folders]}


if __name__ == "__main__":
    run_check(check)
