"""Run tests and write which of them execute which lines: `python -m benchmarks.trace_tests FOLDER TESTS...`

FOLDER gets files of coverage, with the tests as contexts: one of the tests' own process, one of each Python program
that they start; and `seconds.json`, the processor seconds of each test that passed. A test's parameters count as one
test, but each module's examples are one of their own.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import coverage
import pytest

# The settings of the programs that tests start; each has the test that started it as its context.
CHILDREN = """\
[run]
data_file = {folder}/traced
parallel = true
include = {tree}/ci/*
context = ${{TRACED_TEST}}
"""


def name_of(test: str) -> str:
    """Return the name by which a test is traced.

    >>> name_of("tests/unit/test_a.py::test_x[1]"), name_of("tests/unit/test_examples.py::test_x[ci.a]")
    ('tests/unit/test_a.py::test_x', 'tests/unit/test_examples.py::test_x[ci.a]')
    """
    return test if "/test_examples.py::" in test else test.partition("[")[0]


def processor_seconds() -> float:
    """Return what this process and the programs that it ran have used: a busy machine changes it little."""
    return sum(os.times()[:4])


class Tracer:
    """Switch coverage's context for each test, with its fixtures; keep the seconds of each, and which failed."""

    def __init__(self, traced: coverage.Coverage) -> None:
        self._traced = traced
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Trace a test."""
        name = name_of(item.nodeid)
        self._traced.switch_context(name)
        os.environ["TRACED_TEST"] = name
        began = processor_seconds()
        try:
            return (yield)
        finally:
            self.seconds[name] += processor_seconds() - began
            self._traced.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that does not pass."""
        if not report.passed:
            self.failed.add(name_of(report.nodeid))


def main() -> None:
    """Run tests, and write what they execute."""
    folder, *tests = sys.argv[1:]
    place = Path(folder).resolve()
    place.mkdir()
    traced = coverage.Coverage(data_file=str(place / "traced"), include=["ci/*"], config_file=False)
    tracer = Tracer(traced)
    (place / "children.cfg").write_text(CHILDREN.format(folder=place, tree=Path.cwd()), "utf-8")
    os.environ["COVERAGE_PROCESS_START"] = str(place / "children.cfg")
    traced.start()
    pytest.main(["-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", *tests], plugins=[tracer])
    traced.stop()
    traced.save()
    good = {name: taken for name, taken in tracer.seconds.items() if name not in tracer.failed}
    (place / "seconds.json").write_text(
        json.dumps({"seconds": good, "failed": sorted(tracer.failed)}), "utf-8"
    )


if __name__ == "__main__":
    main()
