"""Try mutants in a copy of the tree: `python -m benchmarks.try_mutants`, in the copy's folder.

Standard input has a JSON object for each, {"path", "code", "tests", "limit"}: the file, its text with the mutant, the
tests, and the seconds that they may take. A line is printed for each: `failed`, `did not end`, `survived` or `no test`.
What the tests need of others is imported once; each mutant then has a process of its own.
"""

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

# Of others, and long to import; nothing of the tree, which each mutant imports anew.
IMPORTED = (
    "anyio",
    "dagger",
    "hypothesis",
    "packaging",
    "pydantic",
    "pytest_asyncio.plugin",
    "rich",
    "tomlkit",
)
POLL = 0.05  # seconds


def run_tests(tests: Sequence[str]) -> int:
    """Run tests in silence until one fails, and return pytest's exit status."""
    with Path(os.devnull).open("w") as nothing:
        for number in (0, 1, 2):
            os.dup2(nothing.fileno(), number)
    return pytest.main(["-q", "-x", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", *tests])


def run_apart(tests: Sequence[str], limit: float) -> str:
    """Run tests in a process of their own, and say how it ended."""
    child = os.fork()
    if child == 0:
        os.setsid()
        status = 1
        with suppress(BaseException):
            status = run_tests(tests)
        os._exit(status)
    deadline = time.monotonic() + limit
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended and time.monotonic() < deadline:
        time.sleep(POLL)
        ended, status = os.waitpid(child, os.WNOHANG)
    # What the tests started ends too, as it would at the end of a run.
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not ended:
        os.waitpid(child, 0)
        return "did not end"
    return {0: "survived", 5: "no test"}.get(os.waitstatus_to_exitcode(status), "failed")


def main() -> None:
    """Try each mutant, and put the file back."""
    for name in IMPORTED:
        importlib.import_module(name)
    started = int(time.time())
    for number, line in enumerate(sys.stdin, 1):
        asked = json.loads(line)
        file = Path(asked["path"])
        source = file.read_text("utf-8")
        file.write_text(asked["code"], "utf-8")
        # Python knows its compiled code by the file's time in seconds: each mutant has another.
        os.utime(file, (started + number, started + number))
        try:
            print(run_apart(asked["tests"], asked["limit"]), flush=True)
        finally:
            file.write_text(source, "utf-8")
            os.utime(file, (started - number, started - number))


if __name__ == "__main__":
    main()
