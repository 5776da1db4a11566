"""Two checkouts of the same content use one engine at once, as two jobs of a runner do."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.engine.conftest import ROOT
from tests.stand_ins.checkouts import copy_checkout


class Session:
    """One session, in which a checkout's module is loaded."""

    def __init__(self, process: "subprocess.Popen[str]", checkout: Path) -> None:
        self._process = process
        self.ask(f'{{ moduleSource(refString: "{checkout}") {{ asModule {{ serve }} }} }}')

    def ask(self, query: str) -> Any:
        """Send a query and return the answer's data."""
        assert self._process.stdin
        assert self._process.stdout
        print(query, file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        assert "errors" not in answer, answer["errors"][0]["message"]
        return answer["data"]


@contextmanager
def session_of(checkout: Path) -> Iterator[Session]:
    """Hold a session open."""
    command = [str(ROOT / "daggerw"), "run", sys.executable, str(ROOT / "tests/stand_ins/session.py")]
    pipe = subprocess.PIPE
    with (
        (checkout.parent / f"{checkout.name}.log").open("w") as log,
        # Leaving closes standard input, which ends the session, and waits for that.
        subprocess.Popen(command, cwd=checkout, stdin=pipe, stdout=pipe, stderr=log, text=True) as process,
    ):
        yield Session(process, checkout)


def test_a_call_goes_on_when_that_of_the_other_checkout_has_ended(tmp_path: Path) -> None:
    first = copy_checkout(tmp_path / "first")
    # No other session has loaded this content, or the engine would know it from there.
    with (first / "ci/matrix.toml").open("a") as matrix:
        matrix.write(f"# {tmp_path}\n")
    second = copy_checkout(tmp_path / "second")
    (second / "ci/matrix.toml").write_bytes((first / "ci/matrix.toml").read_bytes())
    # The base image's container names programs and runs none of them yet.
    lazy = '{ cslrImages(sources: "registries") { base(cuda: "cpu", python: "3.13") { id } } }'
    with session_of(second) as after:
        with session_of(first) as before:
            before.ask(lazy)
            after.ask(lazy)
        found = after.ask('{ cslrImages(sources: "registries") { history { size } } }')
    assert found["cslrImages"]["history"]["size"] >= 0
