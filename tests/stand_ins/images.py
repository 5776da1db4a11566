"""Read an image in a registry: its configuration, and every file with mode, owner and content."""

import hashlib
import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

# Where installed packages tell their name and version: pip's, conda's, Debian's.
_PYTHON = re.compile(r".*/site-packages/([^/]+)-([^/-]+)\.dist-info/METADATA")
_CONDA = re.compile(r".*/conda-meta/(.+)\.json")
_DEBIAN = "var/lib/dpkg/status"


@dataclass(frozen=True)
class Image:
    """An image as whoever pulls it gets it."""

    config: dict[str, Any]
    files: dict[str, tuple[str, ...]]  # kind, mode, owner and content by path
    debian: str

    @cached_property
    def packages(self) -> set[str]:
        """Return the packages of all three kinds with their versions."""
        found = {f"pip {m[1]} {m[2]}" for path in self.files if (m := _PYTHON.fullmatch(path))}
        found |= {f"conda {m[1]}" for path in self.files if (m := _CONDA.fullmatch(path))}
        blocks = [
            dict(re.findall(r"^(\w+): (.*)$", block, re.MULTILINE)) for block in self.debian.split("\n\n")
        ]
        return found | {
            f"debian {block['Package']} {block['Version']}" for block in blocks if "Package" in block
        }


def read(crane: Path, reference: str) -> Image:
    """Read an image from a registry, with the program `crane`."""
    config = subprocess.run([crane, "config", reference], check=True, capture_output=True).stdout
    files: dict[str, tuple[str, ...]] = {}
    debian = ""
    with (
        subprocess.Popen([crane, "export", reference, "-"], stdout=subprocess.PIPE) as export,
        tarfile.open(fileobj=export.stdout, mode="r|") as archive,
    ):
        for entry in archive:
            reader = archive.extractfile(entry) if entry.isreg() else None
            content = reader.read() if reader else entry.linkname.encode()
            owner = f"{entry.uid}:{entry.gid}"
            digest = hashlib.sha256(content).hexdigest()
            files[entry.name] = (entry.type.decode(), f"{entry.mode:o}", owner, digest)
            if entry.name == _DEBIAN:
                debian = content.decode()
    assert export.returncode == 0, f"crane export {reference}"
    return Image(json.loads(config)["config"], files, debian)


def differing(one: Image, other: Image, allowed: dict[str, str]) -> list[str]:
    """Tell the files that differ, or that only one has; those whose path fits a pattern of `allowed` may."""
    odd = [
        path for path in sorted({*one.files, *other.files}) if one.files.get(path) != other.files.get(path)
    ]
    return [
        f"{path}: {one.files.get(path)}, {other.files.get(path)}"
        for path in odd
        if not any(fnmatchcase(path, pattern) for pattern in allowed)
    ]
