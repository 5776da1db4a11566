"""Runs inside an image: prints bytes on disk by folder and by Python package, as JSON."""

import importlib.metadata
import json
import os
from pathlib import Path


def allocated(root: str, seen: set[tuple[int, int]]) -> int:
    """Sum the sizes of a tree's files, hard links once, other file systems not at all."""
    device, total = os.lstat(root).st_dev, 0
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if os.lstat(f"{folder}/{name}").st_dev == device]
        for name in files:
            info = os.lstat(f"{folder}/{name}")
            if (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                total += info.st_size
    return total


def packages() -> dict[str, int]:
    """Sum what each distribution's RECORD lists."""
    found = {}
    for distribution in importlib.metadata.distributions():
        files = [Path(str(file.locate())) for file in distribution.files or []]
        found[distribution.metadata["Name"]] = sum(file.lstat().st_size for file in files if file.exists())
    return found


seen: set[tuple[int, int]] = set()
places = ["/opt/env", "/opt/tools", "/usr/local/cuda", "/usr", "/var", "/"]
print(json.dumps({"places": {place: allocated(place, seen) for place in places if Path(place).is_dir()},
                  "packages": dict(sorted(packages().items(), key=lambda item: -item[1])[:15])}))  # fmt: skip
