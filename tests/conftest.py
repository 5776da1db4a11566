"""Put the tests in an order that keeps all cores of a small machine busy when pytest-xdist shares them out by files."""

import os

import pytest

# The first of these starts the engine, which takes minutes on a fresh machine: meanwhile others run the unit tests.
# The rest is by time, the longest first, and what is short and needs no engine fills the gaps at the end.
FIRST = "tests/engine/test_matrix.py"
SLOW = (
    "bundle",
    "publish",
    "crash",
    "retries",
    "public_functions",
    "variants",
    "layers",
    "upstream",
    "small_stack",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files; within a file the order stays."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: place(item.nodeid.partition("::")[0]))


def place(file: str) -> tuple[int, int]:
    """Return a file's place in the order."""
    if file == FIRST:
        return 0, 0
    if file.startswith("tests/unit/"):
        return 1, 0
    if not file.startswith("tests/engine/"):
        return 3, 0
    name = file.removeprefix("tests/engine/test_").removesuffix(".py")
    return 2, SLOW.index(name) if name in SLOW else len(SLOW)
