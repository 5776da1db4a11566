"""Remove the files of an environment that match rules, and their lines in the lists of pip's and conda's packages.

    trim_env.py /opt/env --rules rules.json [--report report.json]

The rules are a list of objects with `name`, `remove` and optionally `unless`: patterns of paths below the environment,
in which `*` and `?` match anything but `/`, and `**` any number of folders. A file counts for the first rule that
matches it. Folders that become empty are removed too. The report has files and bytes for each rule, zeros for a rule
that matched nothing, so that an outdated rule is seen. A rule with `only_tests` takes what it matches only from folders
named `test` or `tests` that hold a package's own tests (`common/own_tests.py`); the report names those that stay.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from common.conda_records import update_conda_records
from common.own_tests import find_own_tests, find_test_folder
from common.patterns import either
from common.records import update_records

SITE_RECORDS = "lib/python3.*/site-packages/*.dist-info/RECORD"


@dataclass
class Rule:
    """A rule, and how much it removed: files, and bytes."""

    name: str
    remove: list[str]
    unless: list[str] = field(default_factory=list)
    only_tests: bool = False
    files: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        self._remove = either(self.remove)
        self._unless = either(self.unless)

    def matches(self, path: str) -> bool:
        """Return whether a path, relative to the environment, is to be removed."""
        return bool(self._remove.fullmatch(path)) and not self._unless.fullmatch(path)

    def takes(self, path: str, tests: set[str]) -> bool:
        """Return whether the rule removes a path; `tests` are the folders of tests."""
        return self.matches(path) and (not self.only_tests or find_test_folder(PurePosixPath(path)) in tests)


def trim(root: Path, rules: list[Rule], tests: set[str]) -> set[Path]:
    """Remove what the rules match; return the removed paths. `tests` are the folders of packages' own tests."""
    removed: set[Path] = set()
    # A file with two names frees its bytes with the last of them.
    left: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            path = Path(folder, name)
            relative = str(path.relative_to(root))
            rule = next((one for one in rules if one.takes(relative, tests)), None)
            if rule is None:
                continue
            info = path.lstat()
            inode = info.st_dev, info.st_ino
            left[inode] = left.get(inode, info.st_nlink) - 1
            path.unlink()
            rule.files += 1
            rule.bytes += info.st_size if left[inode] == 0 else 0
            removed.add(path)
    for folder in sorted({str(path.parent) for path in removed}, key=len, reverse=True):
        remove_empty(root, Path(folder))
    return removed


def remove_empty(root: Path, folder: Path) -> None:
    """Remove an empty folder, and those above it that become empty."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def describe(rule: Rule, others: set[str]) -> dict[str, object]:
    """Return what a rule removed; with `only_tests` also the folders that it would have taken by their name alone."""
    found: dict[str, object] = {"files": rule.files, "bytes": rule.bytes}
    if rule.only_tests and (kept := sorted(folder for folder in others if rule.matches(f"{folder}/file"))):
        found["kept"] = kept
    return found


def main() -> int:
    """Trim, and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path)
    parser.add_argument("--rules", type=Path, required=True)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    rules = [Rule(**rule) for rule in json.loads(options.rules.read_text("utf-8"))]
    root = options.root.resolve()
    # Folders keep their times, so that trimming again gives the same layer.
    times = {folder: Path(folder).stat().st_mtime_ns for folder, _, _ in os.walk(root)}
    tests, others = find_own_tests(root) if any(rule.only_tests for rule in rules) else (set(), set())
    removed = trim(root, rules, tests)
    update_records(root.glob(SITE_RECORDS), removed=removed)
    update_conda_records(root, removed)
    for folder, when in times.items():
        if Path(folder).is_dir():
            os.utime(folder, ns=(when, when))
    report = {rule.name: describe(rule, others) for rule in rules}
    if options.report:
        options.report.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
