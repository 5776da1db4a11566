"""Tell folders of a package's own tests from folders that are only called so.

`django.test` is a library, `pandas/tests` are tests. A folder named `test` or `tests` among Python's packages holds
tests if a file in it is named like one, and nothing outside of such folders imports it: neither by an import nor by its
name in a text, as Django's settings do.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

NAMES = ("test", "tests")
PACKAGES = "lib/python3.*/site-packages"
# What pytest and unittest collect.
TEST_FILE = re.compile(r"(test_.*|.*_test|tests?|conftest)\.py")
# A quick look, before a file is parsed: most files import no such folder.
MENTION = re.compile(
    rb"^[ \t]*(from|import)\b[^\n]*\btests?\b|\bimport[ \t]*\([^)]*\btests?\b|['\"][\w.]+\.tests?\b",
    re.MULTILINE,
)
DOTTED = re.compile(r"\w+(\.\w+)+")


@dataclass(frozen=True)
class Importer:
    """A module that imports folders called `test`: where it lies itself, and the modules that it names."""

    folder: str
    names: frozenset[str]


def find_own_tests(root: Path) -> tuple[set[str], set[str]]:
    """Return the folders of tests below an environment, and those that are only called so; by relative paths."""
    tests: set[str] = set()
    others: set[str] = set()
    for packages in sorted(root.glob(PACKAGES)):
        folders, importers = _read_packages(packages)
        own = {folder for folder, looks in folders.items() if looks}
        imports = _find_imports(folders, importers)
        # What is no folder of tests stays, and what it imports stays too.
        while kept := {folder for folder in own if imports[folder] - own}:
            own -= kept
        at = packages.relative_to(root)
        tests |= {f"{at}/{folder}" for folder in own}
        others |= {f"{at}/{folder}" for folder in folders if folder not in own}
    return tests, others


def find_test_folder(path: PurePosixPath) -> str:
    """Return the topmost folder named `test` or `tests` that holds a path, empty if none does.

    >>> find_test_folder(PurePosixPath("a/tests/b/test/c.py")), find_test_folder(PurePosixPath("a/tests.py"))
    ('a/tests', '')
    """
    parts = path.parts[:-1]
    depth = next((depth for depth, part in enumerate(parts) if part in NAMES), None)
    return "" if depth is None else "/".join(parts[: depth + 1])


def _read_packages(packages: Path) -> tuple[dict[str, bool], list[Importer]]:
    """Return the folders with such a name and whether they look like tests, and what imports any of them."""
    folders: dict[str, bool] = {}
    importers: list[Importer] = []
    for path in sorted(packages.rglob("*")):
        below = PurePosixPath(path.relative_to(packages))
        folder = find_test_folder(below)
        if folder:
            folders[folder] = folders.get(folder, False) or bool(TEST_FILE.fullmatch(path.name))
        if path.suffix == ".py" and path.name != "conftest.py" and path.is_file():
            data = path.read_bytes()
            if MENTION.search(data):
                importers.append(Importer(folder, frozenset(_list_names(data, below))))
    return folders, importers


def _find_imports(folders: Iterable[str], importers: Iterable[Importer]) -> dict[str, set[str]]:
    """Return for each folder in which folders it, or a module in it, is imported; empty is outside of all."""
    modules = {folder.replace("/", "."): folder for folder in folders}
    found: dict[str, set[str]] = {folder: set() for folder in modules.values()}
    for importer in importers:
        named: set[str] = set()
        for name in importer.names:
            package, star, _ = name.partition(".*")
            if star:
                named |= {folder for module, folder in modules.items() if module.startswith(f"{package}.")}
            parts = name.split(".")
            above = (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
            named |= {modules[module] for module in above if module in modules}
        for folder in named - {importer.folder}:
            found[folder].add(importer.folder)
    return found


def _list_names(data: bytes, path: PurePosixPath) -> Iterator[str]:
    """Yield the modules that a file imports or names; `package.*` for its whole package if it cannot be parsed."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):  # for a newer Python than the one that runs this
        yield f"{path.parts[0]}.*"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.parts[: len(path.parts) - node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value):
            yield node.value
