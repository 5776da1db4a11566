"""Print the sizes of a tree by package, kind and section, as JSON.

    measure_sizes.py ROOT [--at opt/env] [--lists ENVIRONMENT]

ROOT is the image's root file system, or the subtree at `--at`; `--lists` is an environment whose packages list files
of ROOT. Each regular file is counted once (hard links too), by the package that owns it (conda's by conda-meta, pip's
by RECORD, Debian's by dpkg's lists) and by its kind. ELF files are also counted by section, and their CUDA code by GPU
architecture, as machine code (`sm_80`) or PTX (`compute_80`). Needs nothing but Python.
"""

# The loops here run over a hundred thousand files: plain strings and os functions, no Path objects.
# ruff: noqa: PTH114, PTH115, PTH118, PTH123

from __future__ import annotations

import argparse
import csv
import json
import mmap
import os
import re
import stat
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from common.elf import (
    MAGIC,
    SHF_EXECINSTR,
    SHT_NOBITS,
    SHT_STRTAB,
    SHT_SYMTAB,
    NotElfError,
    Section,
    parse_elf,
)
from common.fatbin import count_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "opt/env"
# Owners of files that no package manager installed, by the start of the path.
PLACES = {"usr/local/cuda/": "toolkit", "opt/tools/": "tools", "opt/env/": "environment"}
# The first pattern that matches the path decides.
KINDS = (
    (r"\.(pyc|pyo)$", "bytecode"),
    (r"\.pyi$", "stub"),
    (r"(^|/)(tests?|testing)/", "test"),
    (r"\.py$", "python"),
    (r"\.a$", "archive"),
    (r"\.(h|hh|hpp|hxx|cuh|inl|inc)$|(^|/)include/", "header"),
    (r"(^|/)share/(doc|man|info|locale)/", "documentation"),
)
CACHED = re.compile(r"__pycache__/([^/]+?)\.[^/.]+(\.opt-\d)?\.pyc$")
_KINDS = [(re.compile(pattern), kind) for pattern, kind in KINDS]


def files(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each regular file and link of the root's own file system, by its path below the root."""
    device = os.lstat(root).st_dev
    seen: set[int] = set()
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if os.lstat(os.path.join(folder, name)).st_dev == device]
        for name in names:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            if info.st_dev != device or (info.st_nlink > 1 and info.st_ino in seen):
                continue
            seen.add(info.st_ino)
            yield os.path.relpath(path, root), info


def owners(root: Path, prefix: Path) -> dict[str, str]:
    """Return the package that owns each path, as `pip:torch`, `conda:python` or `debian:gcc-12`.

    `prefix` is the environment. What a package's file or folder leads to as a link is owned too.
    """
    found: dict[str, str] = {}
    for listed in sorted((root / "var/lib/dpkg/info").glob("*.list")):
        name = listed.name.removesuffix(".list").partition(":")[0]
        for line in listed.read_text("utf-8", "replace").splitlines():
            found.setdefault(line.lstrip("/"), f"debian:{name}")
    for record in sorted((prefix / "conda-meta").glob("*.json")):
        data = json.loads(record.read_text("utf-8"))
        for path in data.get("files", ()):
            found[f"{PREFIX}/{path}"] = f"conda:{data['name']}"
    for record in sorted(prefix.glob("lib/python3.*/site-packages/*.dist-info/RECORD")):
        site = f"{PREFIX}/{os.path.relpath(record.parent.parent, prefix)}"
        name = record.parent.name.partition("-")[0].replace("_", "-").lower()
        links = _links(str(record.parent.parent))
        with record.open(encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines):
                for path in _follow(row[0], links) if row else ():
                    found.setdefault(os.path.normpath(os.path.join(site, path)), f"pip:{name}")
    return found


@cache
def _links(folder: str) -> dict[str, str]:
    """Return where the links below a folder lead to, seen from there, by their paths below it."""
    found = {}
    for place, folders, names in os.walk(folder):
        here = os.path.relpath(place, folder)
        for name in (*folders, *names):
            if os.path.islink(path := os.path.join(place, name)):
                found[os.path.normpath(os.path.join(here, name))] = os.path.join(here, os.readlink(path))
    return found


def _follow(path: str, links: Mapping[str, str]) -> tuple[str, ...]:
    """Return a path, and where it leads to if it or its first folder is a link."""
    first, slash, rest = path.partition("/")
    if slash and first in links:
        return (f"{links[first]}/{rest}",)
    return (path, links[path]) if path in links else (path,)


def part_of(section: Section) -> str:
    """Name the purpose of a section."""
    if "fatbin" in section.name.lower() or section.name == "__nv_relfatbin":
        return "gpu"
    if section.name.startswith((".debug", ".zdebug")):
        return "debug"
    if section.kind == SHT_SYMTAB or (section.kind == SHT_STRTAB and section.name == ".strtab"):
        return "symbols"
    return "code" if section.flags & SHF_EXECINSTR else "data"


def count_sections(path: str, size: int, parts: Counter[str], archs: Counter[str]) -> bool:
    """Add an ELF file's sections and GPU architectures to the counts; return whether it is an ELF file."""
    if size < 64:
        return False
    with open(path, "rb") as file:
        if file.read(4) != MAGIC:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                sections = [section for section in parse_elf(data).sections if section.kind != SHT_NOBITS]
            except NotElfError:
                sections = []
            for section in sections:
                part = part_of(section)
                parts[part] += section.size
                if part == "gpu":
                    archs.update(count_code(data, section.offset, section.size))
            counted = sum(section.size for section in sections)
            parts["headers and padding"] += max(0, size - counted)
    return True


def source_of(path: str) -> str:
    """Return the module of a file of bytecode, which no package lists; the path itself for other files.

    >>> source_of("pkg/__pycache__/x.cpython-313.pyc"), source_of("pkg/x.py")
    ('pkg/x.py', 'pkg/x.py')
    """
    return CACHED.sub(r"\1.py", path)


def place_of(path: str) -> str:
    """Name the owner of a path that no package owns."""
    return next((name for start, name in PLACES.items() if path.startswith(start)), "unowned")


def kind_of(path: str) -> str:
    """Name the kind of a file by its path."""
    return next((kind for pattern, kind in _KINDS if pattern.search(path)), "other")


def measure(root: str, at: str, lists: str = "") -> dict[str, object]:
    """Count the bytes of a tree in all ways."""
    owner_of = owners(Path(root), Path(lists or (root if at else os.path.join(root, PREFIX))))
    packages: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    archs: Counter[str] = Counter()
    rows: Counter[tuple[str, str]] = Counter()
    total = 0
    for below, info in files(root):
        path = f"{at}/{below}" if at else below
        size = info.st_size
        listed = source_of(path)
        owner = owner_of.get(listed) or owner_of.get(listed.removeprefix("usr/")) or place_of(path)
        kind = kind_of(path)
        if stat.S_ISREG(info.st_mode) and count_sections(os.path.join(root, below), size, parts, archs):
            kind = "library" if re.search(r"\.so(\.|$)", path) else "program"
        packages[owner] += size
        kinds[kind] += size
        rows[owner, kind] += size
        total += size
    return {
        "total": total,
        "packages": ordered(packages),
        "kinds": ordered(kinds),
        "elf": ordered(parts),
        "archs": ordered(archs),
        "rows": [[*key, size] for key, size in sorted(rows.items(), key=lambda row: (-row[1], row[0]))],
    }


def ordered(counts: Counter[str]) -> dict[str, int]:
    """Return the counts, the largest first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def main() -> None:
    """Print the sizes of a tree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root")
    parser.add_argument("--at", default="", help="the path of ROOT in an image: opt/env")
    parser.add_argument("--lists", default="", help="the environment whose packages list files, if not ROOT")
    options = parser.parse_args()
    print(json.dumps(measure(options.root, options.at, options.lists)))


if __name__ == "__main__":
    main()
