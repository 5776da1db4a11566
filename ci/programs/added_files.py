#!/usr/bin/env python3
"""Copies what a tree has and another has not, or has otherwise: added_files.py BELOW TREE OUT

In a Dockerfile, what Dagger's `Directory.diff` is for image layers. Files are the same when type, permissions, owner,
size and time of change are, or where a link points to: both trees are layers over the same files, which nothing
rewrites in place. Folders come with what they hold. Of what is only in BELOW nothing is told.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path


def look(path: Path) -> tuple[object, ...] | None:
    """Return what tells a file from another, None where there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return ("link", path.readlink(), found.st_uid, found.st_gid)
    if stat.S_ISDIR(found.st_mode):
        return ("folder", found.st_mode, found.st_uid, found.st_gid)
    return ("file", found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns)


def copy_folder(source: Path, target: Path) -> None:
    """Make a folder as another is, its parents too."""
    target.mkdir(parents=True, exist_ok=True)
    found = source.stat()
    os.chown(target, found.st_uid, found.st_gid)
    shutil.copystat(source, target)


def main(below: Path, tree: Path, out: Path) -> None:
    """Copy the files, then give their folders the times that they had."""
    folders: set[Path] = {Path()}
    linked: dict[tuple[int, int], Path] = {}
    for folder, names, files in os.walk(tree):
        here = Path(folder).relative_to(tree)
        for name in [*names, *files]:
            one = here / name
            if look(tree / one) == look(below / one):
                continue
            for parent in reversed(one.parents):
                if parent not in folders:
                    copy_folder(tree / parent, out / parent)
                    folders.add(parent)
            found = (tree / one).lstat()
            if stat.S_ISDIR(found.st_mode):
                copy_folder(tree / one, out / one)
                folders.add(one)
                continue
            out.mkdir(parents=True, exist_ok=True)
            if (twin := linked.get((found.st_dev, found.st_ino))) and found.st_nlink > 1:
                os.link(out / twin, out / one)
                continue
            linked[found.st_dev, found.st_ino] = one
            shutil.copy2(tree / one, out / one, follow_symlinks=False)
            os.chown(out / one, found.st_uid, found.st_gid, follow_symlinks=False)
    copy_folder(tree, out)
    for path in sorted(folders, reverse=True):
        shutil.copystat(tree / path, out / path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
