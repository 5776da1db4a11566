"""Copy the files of a tree that another lacks or has changed: copy_changes.py BELOW TREE OUT

This is for Dockerfiles what Dagger's `Directory.diff` is for image layers. Files are equal if type, permissions, owner,
size and modification time are equal, links if they point to the same path: both trees are layers over the same files,
which nothing rewrites in place. Parent folders of a copied file are copied too. Files that are only in BELOW are
ignored.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path


def describe(path: Path) -> tuple[object, ...] | None:
    """Return the properties by which files are compared, None for a path that does not exist."""
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
    """Make a folder with the owner, mode and times of another, and its parents."""
    target.mkdir(parents=True, exist_ok=True)
    found = source.stat()
    os.chown(target, found.st_uid, found.st_gid)
    shutil.copystat(source, target)


def main(below: Path, tree: Path, out: Path) -> None:
    """Copy the files, then set the times of their folders."""
    folders: set[Path] = {Path()}
    linked: dict[tuple[int, int], Path] = {}
    for folder, names, files in os.walk(tree):
        here = Path(folder).relative_to(tree)
        for name in [*names, *files]:
            one = here / name
            if describe(tree / one) == describe(below / one):
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
