"""Copy an environment that was made without conda, ready to be an image layer: copy_env.py /opt/env /opt/packed

The copy is for the same prefix, so no file is rewritten. Compiled files of packages (`__pycache__` in site-packages)
are left out, and all files and folders get one time (SOURCE_DATE_EPOCH), so that copying again gives the same layer.
pack_env.py does this for environments of conda, whose files it must take from conda's package cache.
Needs nothing but Python.
"""

# The loop here runs over tens of thousands of files: plain strings and os functions, no Path objects.
# ruff: noqa: PTH102, PTH112, PTH114, PTH115, PTH118

from __future__ import annotations

import os
import re
import stat
import sys

from common.errors import UserError, run_main
from common.files import source_date_epoch
from common.trees import TreeWriter

# The standard library's are kept: they were compiled with it, and do not depend on the times of its files.
CACHE = re.compile(r"(^|/)site-packages/(.*/)?__pycache__$")


def copy(prefix: str, out: str, epoch: int) -> TreeWriter:
    """Copy the tree to a new folder."""
    os.mkdir(out)
    writer = TreeWriter(out, epoch)
    for folder, folders, names in os.walk(prefix):
        below = os.path.normpath(os.path.relpath(folder, prefix))
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [
            name
            for name in folders
            if name not in links and not CACHE.search(os.path.normpath(os.path.join(below, name)))
        ]
        for name in folders:
            writer.add_folder(os.path.normpath(os.path.join(below, name)))
        for name in (*links, *names):
            source, target = os.path.join(folder, name), os.path.normpath(os.path.join(below, name))
            status = os.lstat(source)
            if stat.S_ISLNK(status.st_mode):
                writer.add_link(target, os.readlink(source), status)
            else:
                writer.copy_file(source, target, status)
    writer.finish()
    return writer


def work(prefix: str, out: str) -> None:
    """Copy, and print how much was copied."""
    if not os.path.isdir(prefix):
        raise UserError(f"no such folder: {prefix}")
    writer = copy(prefix, out, source_date_epoch() or 0)
    print(f"{out}: {writer.files} files, {writer.size / 1e6:.0f} MB")


def main() -> int:
    """Copy an environment; return the exit status."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    return run_main("copy_env.py", lambda: work(*sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
