"""Cells that were built before run beside those that build; one that is not cached after all waits for its turn."""

import anyio
import pytest

from ci.plan.attempt import Attempts
from ci.plan.plan import Plan
from ci.sweep.scheduler import CACHED_STAGE, SweepLimits, sweep
from ci.sweep.slots import CellSlots
from tests.unit.sweep.fake_executor import PLANS, FakeExecutor

ALL = {stage.digest for plan in PLANS for stage in plan.stages}


async def run(executor: FakeExecutor, built: set[str], cached_cells: int = 3) -> None:
    """Sweep all plans, one that builds at once."""
    limits = SweepLimits(cells=1, cached_cells=cached_cells)
    records = await sweep(PLANS, executor, limits, run="now", sources="registries", built=built)
    assert {record.status for record in records} == {"ok"}
    assert set(executor.built.values()) == {1}


@pytest.mark.parametrize(
    ("built", "cached_cells", "expected"),
    [
        (ALL, 3, 3),
        (ALL, 0, 1),
        (set(), 3, 1),
        ({stage.digest for stage in PLANS[0].stages}, 3, 2),
        (ALL - {plan.digest for plan in PLANS}, 3, 1),
    ],
)
async def test_cached_cells_run_beside_one_that_builds(
    built: set[str], cached_cells: int, expected: int
) -> None:
    executor = FakeExecutor()
    await run(executor, built, cached_cells)
    assert executor.most["all"] == expected


class SlowExecutor(FakeExecutor):
    """Builds each stage for longer than a cached one takes."""

    async def build_stage(self, plan: Plan, name: str, attempts: Attempts) -> None:
        """Build a stage."""
        self.clock += CACHED_STAGE
        await super().build_stage(plan, name, attempts)


async def test_cells_that_are_not_cached_build_one_after_the_other() -> None:
    executor = SlowExecutor()
    await run(executor, ALL)
    # It shows after a stage of each: the last one of an image is built by one cell at a time.
    assert executor.most["all"] <= 4
    assert executor.most["image"] == 1


async def test_a_slot_that_is_not_enough_is_given_back_while_the_cell_waits() -> None:
    slots, order = CellSlots(1, 1), list[str]()
    first_ends = anyio.Event()

    async def build() -> None:
        async with slots.take(cached=False):
            order.append("builds")
            await first_ends.wait()
            order.append("built")

    async def move() -> None:
        async with slots.take(cached=True) as slot:
            order.append("cached")
            await slot.require_building()
            await slot.require_building()
            order.append("moved")

    async def follow() -> None:
        async with slots.take(cached=True) as slot, slot.lend():
            order.append("follows")
            first_ends.set()

    async with anyio.create_task_group() as group:
        group.start_soon(build)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(move)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(follow)
    assert order == ["builds", "cached", "follows", "built", "moved"]
