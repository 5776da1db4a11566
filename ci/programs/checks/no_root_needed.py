"""Check that the image's user is not root, and can write to its folders."""

from __future__ import annotations

import argparse
import os
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
    folders = parser.parse_args().folders or [Path.home(), Path.cwd(), Path(tempfile.gettempdir())]
    require(os.geteuid() != 0, "the image's user is root")
    for folder in folders:
        try:
            with tempfile.NamedTemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise CheckError(f"user {os.geteuid()} cannot write {folder}: {error.strerror}") from error
    return {"uid": os.geteuid(), "gid": os.getegid(), "folders": [str(folder) for folder in folders]}


if __name__ == "__main__":
    run_check(check)
