#!/usr/bin/env python3
"""Copies an environment that no conda made, ready to be an image layer: copy_env.py /opt/env /opt/packed

It lies at its final prefix, so nothing in it is rewritten. What Python compiled by the way is left out, all files and
folders get one time (SOURCE_DATE_EPOCH): what is copied twice is the same layer, and what pip's wheels bring is the
same as in an environment of conda. Needs nothing but Python.
"""

# The loops here run over tens of thousands of files: plain strings and os functions, no Path objects.
# ruff: noqa: PTH102, PTH101, PTH114, PTH115, PTH118, PTH211

from __future__ import annotations

import os
import re
import shutil
import stat
import sys

# The standard library's own are made with it, and are right whatever times the files have.
CACHE = re.compile(r"(^|/)site-packages/(.*/)?__pycache__$")


def copy(prefix: str, out: str, epoch: int) -> tuple[int, int]:
    """Copies the tree; returns the number of files and their bytes."""
    count = size = 0
    for folder, folders, names in os.walk(prefix):
        below = os.path.relpath(folder, prefix)
        place = out if below == "." else os.path.join(out, below)
        os.mkdir(place)
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [
            name
            for name in folders
            if name not in links and not CACHE.search(os.path.normpath(os.path.join(below, name)))
        ]
        for name in (*links, *names):
            source, target = os.path.join(folder, name), os.path.join(place, name)
            info = os.lstat(source)
            if stat.S_ISLNK(info.st_mode):
                os.symlink(os.readlink(source), target)
            else:
                shutil.copyfile(source, target)
                os.chmod(target, stat.S_IMODE(info.st_mode) & 0o777)
                size += info.st_size
            os.utime(target, (epoch, epoch), follow_symlinks=False)
            count += 1
    for folder, _, _ in os.walk(out):
        os.chmod(folder, 0o755)  # noqa: S103 (a folder that all may read)
        os.utime(folder, (epoch, epoch))
    return count, size


def main() -> int:
    """Copy, and tell how much."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    _, prefix, out = sys.argv
    try:
        if not os.path.isdir(prefix):  # noqa: PTH112
            raise NotADirectoryError(20, "no such folder", prefix)
        count, size = copy(prefix, out, int(os.environ.get("SOURCE_DATE_EPOCH") or 0))
    except OSError as error:
        print(f"copy_env.py: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 1
    print(f"{out}: {count} files, {size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
