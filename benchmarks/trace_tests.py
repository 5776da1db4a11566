"""Run tests and write which of them execute which lines: `python -m benchmarks.trace_tests DATA SECONDS TESTS...`

DATA becomes a file of coverage, with the tests as contexts; SECONDS a JSON file of how long each test took that passed.
A test's parameters count as one test.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import coverage
import pytest


class Tracer:
    """Switch coverage's context for each test, with its fixtures; keep the seconds of each, and which failed."""

    def __init__(self, traced: coverage.Coverage) -> None:
        self._traced = traced
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Trace a test."""
        name = item.nodeid.partition("[")[0]
        self._traced.switch_context(name)
        began = time.monotonic()
        try:
            return (yield)
        finally:
            self.seconds[name] += time.monotonic() - began
            self._traced.switch_context("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that does not pass."""
        if not report.passed:
            self.failed.add(report.nodeid.partition("[")[0])


def main() -> None:
    """Run tests, and write what they execute."""
    data, seconds, *tests = sys.argv[1:]
    traced = coverage.Coverage(data_file=data, include=["ci/*"], config_file=False)
    tracer = Tracer(traced)
    traced.start()
    pytest.main(["-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", *tests], plugins=[tracer])
    traced.stop()
    traced.save()
    good = {name: taken for name, taken in tracer.seconds.items() if name not in tracer.failed}
    Path(seconds).write_text(json.dumps({"seconds": good, "failed": sorted(tracer.failed)}), "utf-8")


if __name__ == "__main__":
    main()
