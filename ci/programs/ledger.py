"""Prints where the bytes of a tree are, as JSON: ledger.py ROOT [--at opt/env] [--lists ENVIRONMENT]

ROOT is what lies at / in an image, or below `--at`; `--lists` is an environment whose packages list files of ROOT.
Each regular file is counted once (hard links too), by the package that has it (conda's by conda-meta, pip's by RECORD,
Debian's by dpkg's lists) and by its kind. ELF files are also counted by section, and what CUDA code they hold by GPU
architecture, machine code (`sm_80`) and PTX (`compute_80`), read from the containers in `.nv_fatbin`. Needs nothing
but Python.
"""

# The loops here run over a hundred thousand files: plain strings and os functions, no Path objects.
# ruff: noqa: PTH115, PTH118, PTH123

from __future__ import annotations

import argparse
import csv
import json
import mmap
import os
import re
import stat
import struct
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "opt/env"
# What no package manager laid down.
PLACES = {"usr/local/cuda/": "toolkit", "opt/tools/": "tools", "opt/env/": "environment"}
MAGIC = struct.pack("<IH", 0xBA55ED50, 1)
PTX, CUBIN = 1, 2
SHT_SYMTAB, SHT_STRTAB, SHT_NOBITS = 2, 3, 8
SHF_EXECINSTR = 4
# By the end of the name, the first that fits.
KINDS = (
    (r"\.(pyc|pyo)$", "bytecode"),
    (r"\.pyi$", "stub"),
    (r"(^|/)(tests?|testing)/", "test"),
    (r"\.py$", "python"),
    (r"\.a$", "archive"),
    (r"\.(h|hh|hpp|hxx|cuh|inl|inc)$|(^|/)include/", "header"),
    (r"(^|/)share/(doc|man|info|locale)/", "documentation"),
)
_KINDS = [(re.compile(pattern), kind) for pattern, kind in KINDS]


def files(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Give each regular file and link of the root's own file system, by its path below the root."""
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
    """Return the package of each path that one has, as `pip:torch`, `conda:python` or `debian:gcc-12`.

    `prefix` is the environment. A folder of its packages that is a link is what it points to.
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
        links = {
            entry.name: os.readlink(entry) for entry in os.scandir(record.parent.parent) if entry.is_symlink()
        }
        with record.open(encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines):
                if row:
                    first, slash, rest = row[0].partition("/")
                    path = f"{links.get(first, first)}/{rest}" if slash else first
                    found.setdefault(os.path.normpath(os.path.join(site, path)), f"pip:{name}")
    return found


def sections(data: mmap.mmap) -> Iterator[tuple[str, int, int, int, int]]:
    """Give name, type, flags, offset and size of each section of a 64-bit little-endian ELF file."""
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < 64:
        return
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    if not count or names >= count or table + size * count > len(data):
        return
    headers = [struct.unpack_from("<IIQQQQ", data, table + index * size) for index in range(count)]
    strings = headers[names][4]
    for name, kind, flags, _, offset, length in headers:
        end = data.find(b"\0", strings + name)
        if kind != SHT_NOBITS:
            yield data[strings + name : end].decode("ascii", "replace"), kind, flags, offset, length


def part_of(name: str, kind: int, flags: int) -> str:
    """Name what a section is for."""
    if "fatbin" in name.lower() or name == "__nv_relfatbin":
        return "gpu"
    if name.startswith((".debug", ".zdebug")):
        return "debug"
    if kind == SHT_SYMTAB or (kind == SHT_STRTAB and name == ".strtab"):
        return "symbols"
    return "code" if flags & SHF_EXECINSTR else "data"


def architectures(data: mmap.mmap, start: int, length: int) -> Counter[str]:
    """Sum the bytes of the CUDA code of a section by architecture."""
    found: Counter[str] = Counter()
    stop = start + length
    at = data.find(MAGIC, start, stop)
    while at >= 0:
        header, total = struct.unpack_from("<HQ", data, at + 6)
        entry, end = at + header, min(at + header + total, stop)
        while entry + 64 <= end:
            kind, _, size, payload = struct.unpack_from("<HHIQ", data, entry)
            (number,) = struct.unpack_from("<I", data, entry + 28)
            if not size:
                break
            if kind in (PTX, CUBIN):
                found[f"{'compute' if kind == PTX else 'sm'}_{number}"] += size + payload
            entry += size + payload
        at = data.find(MAGIC, max(end, at + 1), stop)
    return found


def look_inside(path: str, size: int, parts: Counter[str], archs: Counter[str]) -> bool:
    """Add an ELF file's sections and architectures; tell whether it is one."""
    if size < 64:
        return False
    with open(path, "rb") as opened:
        if opened.read(4) != b"\x7fELF":
            return False
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            counted = 0
            for name, kind, flags, offset, length in sections(data):
                part = part_of(name, kind, flags)
                parts[part] += length
                counted += length
                if part == "gpu":
                    archs.update(architectures(data, offset, length))
            parts["headers and padding"] += max(0, size - counted)
    return True


def place(path: str) -> str:
    """Name the owner of a path that no package has."""
    return next((name for start, name in PLACES.items() if path.startswith(start)), "unowned")


def kind_of(path: str) -> str:
    """Name the kind of a file by its path."""
    return next((kind for pattern, kind in _KINDS if pattern.search(path)), "other")


def ledger(root: str, at: str, lists: str = "") -> dict[str, object]:
    """Count everything."""
    known = owners(Path(root), Path(lists or (root if at else os.path.join(root, PREFIX))))
    packages: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    parts: Counter[str] = Counter()
    archs: Counter[str] = Counter()
    rows: Counter[tuple[str, str]] = Counter()
    total = 0
    for below, info in files(root):
        path = f"{at}/{below}" if at else below
        size = info.st_size
        owner = known.get(path) or known.get(path.removeprefix("usr/")) or place(path)
        kind = kind_of(path)
        if stat.S_ISREG(info.st_mode) and look_inside(os.path.join(root, below), size, parts, archs):
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


def ordered(found: Counter[str]) -> dict[str, int]:
    """Return the counts, the largest first."""
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def main() -> None:
    """Print the ledger."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root")
    parser.add_argument("--at", default="", help="where the root lies in an image: opt/env")
    parser.add_argument("--lists", default="", help="the environment whose packages list files, if not ROOT")
    options = parser.parse_args()
    print(json.dumps(ledger(options.root, options.at, options.lists)))


if __name__ == "__main__":
    main()
