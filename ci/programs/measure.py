"""Runs inside an image: prints bytes on disk as JSON, of the whole, by place and by Python package."""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path

PLACES = ("/opt/env", "/opt/tools", "/usr/local/cuda", "/usr", "/var", "/")
LARGEST = 15


def allocated(root: str, seen: set[tuple[int, int]]) -> int:
    """Sum the sizes of a tree's files: hard links once, other file systems and what was seen before not at all."""
    device, total = os.lstat(root).st_dev, 0
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if os.lstat(f"{folder}/{name}").st_dev == device]
        for name in files:
            info = os.lstat(f"{folder}/{name}")
            if info.st_dev == device and (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                total += info.st_size
    return total


def packages() -> dict[str, int]:
    """Sum what each distribution's RECORD lists."""
    found = {}
    for distribution in importlib.metadata.distributions():
        files = [Path(str(file.locate())) for file in distribution.files or []]
        found[distribution.metadata["Name"]] = sum(file.lstat().st_size for file in files if file.exists())
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def main() -> None:
    """Print the sizes."""
    seen: set[tuple[int, int]] = set()
    places = {place: allocated(place, seen) for place in PLACES if Path(place).is_dir()}
    largest = dict(list(packages().items())[:LARGEST])
    print(json.dumps({"total": sum(places.values()), "places": places, "packages": largest}))


if __name__ == "__main__":
    main()
