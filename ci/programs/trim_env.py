#!/usr/bin/env python3
"""Takes out of an environment what rules name, and brings the packages' RECORD lines up to date.

    trim_env.py /opt/env --rules rules.json [--report report.json]

The rules are a list of objects: `name`, `remove` and, where something must stay, `unless`: patterns of paths below
the environment, in which `*` and `?` stand for anything but `/`, and `**` for any number of folders. A file goes to
the first rule that names it. Folders that are left empty go too. The report says bytes and files by rule; a rule that
found nothing is in it with zeros, for a rule that no longer fits should be seen.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass
class Rule:
    """What goes, what of it stays, and what was found."""

    name: str
    remove: list[str]
    unless: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        self._remove = either(self.remove)
        self._unless = either(self.unless)

    def names(self, path: str) -> bool:
        """Tell whether a path, relative to the environment, goes."""
        return bool(self._remove.fullmatch(path)) and not self._unless.fullmatch(path)


def either(patterns: list[str]) -> re.Pattern[str]:
    """Return the expression that any of the patterns fits; none fits nothing."""
    return re.compile("|".join(map(expression, patterns)) or r"(?!)", re.DOTALL)


def expression(pattern: str) -> str:
    """Return a pattern as a regular expression.

    >>> bool(re.fullmatch(expression("lib/**/*.a"), "lib/libx.a")), bool(re.fullmatch(expression("*.a"), "lib/x.a"))
    (True, False)
    """
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return "".join(WILD.get(part) or re.escape(part) for part in parts)


def trim(root: Path, rules: list[Rule]) -> set[str]:
    """Remove what the rules name; return the paths that went, relative to the environment."""
    gone: set[str] = set()
    # A file with two names frees its bytes with the last of them.
    left: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            path = Path(folder, name)
            relative = str(path.relative_to(root))
            rule = next((one for one in rules if one.names(relative)), None)
            if rule is None:
                continue
            info = path.lstat()
            inode = info.st_dev, info.st_ino
            left[inode] = left.get(inode, info.st_nlink) - 1
            path.unlink()
            rule.files += 1
            rule.bytes += info.st_size if left[inode] == 0 else 0
            gone.add(relative)
    for folder in sorted({str(Path(path).parent) for path in gone}, key=len, reverse=True):
        remove_empty(root, root / folder)
    return gone


def remove_empty(root: Path, folder: Path) -> None:
    """Remove a folder that holds nothing, and those above it that then hold nothing."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def update_records(root: Path, gone: set[str]) -> None:
    """Leave what went out of the packages' lists of files (`*.dist-info/RECORD`)."""
    for record in sorted(root.glob("lib/python3.*/site-packages/*.dist-info/RECORD")):
        site = record.parent.parent
        text = record.read_text("utf-8")
        rows = list(csv.reader(io.StringIO(text)))
        kept = [row for row in rows if row and relative_to(root, site, row[0]) not in gone]
        if len(kept) == len([row for row in rows if row]):
            continue
        written = io.StringIO()
        csv.writer(written, lineterminator="\n").writerows(kept)
        # A hard link to the package cache must not be written through.
        fresh = record.with_name("RECORD.new")
        fresh.write_text(written.getvalue(), "utf-8")
        shutil.copystat(record, fresh)
        fresh.replace(record)


def relative_to(root: Path, site: Path, name: str) -> str:
    """Return a RECORD's path, which is relative to site-packages, as one relative to the environment."""
    return os.path.relpath(os.path.normpath(site / name), root)


def main() -> int:
    """Trim, and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("--rules", type=Path, required=True)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    rules = [Rule(**rule) for rule in json.loads(options.rules.read_text("utf-8"))]
    # Folders keep their times: what is trimmed twice should be the same layer.
    times = {folder: Path(folder).stat().st_mtime_ns for folder, _, _ in os.walk(options.root)}
    update_records(options.root, trim(options.root, rules))
    for folder, when in times.items():
        if Path(folder).is_dir():
            os.utime(folder, ns=(when, when))
    report = {rule.name: {"files": rule.files, "bytes": rule.bytes} for rule in rules}
    if options.report:
        options.report.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
