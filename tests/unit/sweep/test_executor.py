"""The free disk of a sweep: looked at again when the last look is old, and once for cells that start together."""

from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from ci.history.history import History
from ci.report.estimate import estimate_build
from ci.session.history import KnownHistory
from ci.session.machine import Machine
from ci.sweep.announce import CellLog
from ci.sweep.executor import DISK_INTERVAL, DaggerExecutor
from ci.util.units import GB

START = 1000.0


class Clocked(DaggerExecutor):
    """An executor whose clock the test sets."""

    clock = START

    def seconds(self) -> float:
        return self.clock


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the looks at the machine were marked with; each finds as many GB as looks there were."""
    marks: list[str] = []

    async def look(_: object, mark: str) -> Machine:
        marks.append(mark)
        await anyio.lowlevel.checkpoint()
        return Machine(cores=2, memory=8 * GB, free_disk=len(marks) * GB)

    monkeypatch.setattr("ci.sweep.executor.read_machine", look)
    return marks


def executor() -> Clocked:
    """Return an executor of no cells that knows the machine since the start."""
    machine = Machine(cores=2, memory=8 * GB, free_disk=100 * GB)
    known = KnownHistory(History(), frozenset(), machine, START)
    # Of the session and the store it takes only these, for a look.
    session: Any = SimpleNamespace(probe_container=None)
    store: Any = SimpleNamespace(run="run")
    log = CellLog(estimate_build((), {}, 2, finishes=False))
    return Clocked(session, store, known, (), verify="none", publisher=None, log=log)


async def test_a_look_at_the_disk_is_renewed_when_it_is_old(looks: list[str]) -> None:
    one = executor()
    found = []
    for seconds in (0, 0.9, 1, 1.9, 2, 4):
        one.clock = START + seconds * DISK_INTERVAL
        found.append(await one.free_disk() // GB)
    assert found == [100, 100, 1, 1, 2, 3]
    assert len(set(looks)) == 3, "the engine answers an equal question from its cache"


async def test_cells_that_start_together_share_a_look(looks: list[str]) -> None:
    one = executor()
    one.clock += DISK_INTERVAL
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(one.free_disk)
    assert len(looks) == 1
