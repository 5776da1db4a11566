"""Records are written in the background, in batches and in order."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest

from ci.history.records import BuildRecord
from ci.plan.plan import Plan
from tests.unit.plans import CELLS
from tests.unit.sweep.fake_executor import FakeExecutor, run_sweep


@dataclass
class SlowWriter(FakeExecutor):
    """Write records slowly, and remember the size of each batch."""

    batches: list[int] = field(default_factory=list)
    broken: str = ""

    async def append_records(self, records: Sequence[BuildRecord]) -> None:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        self.batches.append(len(records))
        if self.broken:
            raise OSError(self.broken)
        self.records += records


async def test_cells_do_not_wait_for_writes_and_records_are_written_in_order() -> None:
    executor = SlowWriter()
    await run_sweep(executor, cells=4)
    assert len(executor.batches) < sum(executor.batches) == 36
    for name in CELLS:
        assert [one.status for one in executor.records if one.cell == name] == ["building", "ok"]


async def test_the_first_record_is_written_at_once_and_later_ones_in_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ci.sweep.recorder.WRITE_INTERVAL", math.inf)
    executor = SlowWriter()

    def fault(plan: Plan, name: str, _: int) -> None:
        if (plan.cell.id, name) == (CELLS[5], "image"):
            assert [one.status for one in executor.records] == ["building"], "the start is recorded at once"

    executor.fault = fault
    records = await run_sweep(executor)
    assert {record.status for record in records.values()} == {"ok"}
    assert executor.batches == [1, 35]


async def test_records_that_cannot_be_written_fail_the_sweep_when_its_cells_are_built() -> None:
    executor = SlowWriter(broken="the volume is gone")
    with pytest.raises(OSError, match="the volume is gone"):
        await run_sweep(executor, cells=4)
    assert Counter(name for _, name, _ in executor.calls)["finish"] == 18
