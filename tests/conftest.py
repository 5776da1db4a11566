"""Put the tests in an order that keeps all cores of a small machine busy when pytest-xdist shares them out by files.

With `CSLR_TESTS_COMPLETE=1`, as `tests/run` sets it, a test fails that is skipped because a program or a module is
missing: what should be installed there is not.
"""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

# How skips name what is missing: "no gcc", and pytest's importorskip.
MISSING = ("Skipped: no ", "Skipped: could not import ")

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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that is skipped for what is missing."""
    return require_complete((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a file that is skipped for what is missing."""
    return require_complete((yield))


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def require_complete(report: Report) -> Report:
    """Turn a report of a skip for what is missing into one of a failure."""
    told = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    if told.startswith(MISSING) and os.environ.get("CSLR_TESTS_COMPLETE"):
        report.outcome = "failed"
        report.longrepr = f"{told.removeprefix('Skipped: ')}; CSLR_TESTS_COMPLETE says that all is installed"
    return report
