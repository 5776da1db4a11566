"""Checks start when they fit: limits are kept, exclusive checks are alone, and none is left out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest

from ci.inspection.checks import CHECK_NEEDS, Check, CheckNeeds
from ci.inspection.limiter import (
    MOST_OVERTAKEN,
    Capacity,
    CheckLimiter,
    Waiting,
    check_capacity,
    choose_next,
    may_start,
)
from ci.inspection.verify import CheckResult, run_all
from ci.session.machine import Machine
from ci.util.units import GB

SMALL, LARGE = CheckNeeds(memory_gb=1.0), CheckNeeds(memory_gb=3.0)
ALONE, WIDE = CheckNeeds(memory_gb=1.0, alone=True), CheckNeeds(memory_gb=1.0, cores=2)
CHECKS = tuple(Check(name=name) for name in CHECK_NEEDS)


@dataclass
class StandInChecks:
    """Run nothing: each check takes some turns of the event loop, and it is remembered what ran at once."""

    limiter: CheckLimiter
    running: list[Check] = field(default_factory=list)
    seen: list[tuple[Check, ...]] = field(default_factory=list)
    failing: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    async def run(self, check: Check) -> CheckResult:
        async with self.limiter.run(check.needs):
            self.running.append(check)
            self.seen.append(tuple(self.running))
            try:
                for _ in range(int(check.needs.seconds)):
                    await anyio.lowlevel.checkpoint()
                if check.name in self.broken:
                    raise ConnectionError(f"no engine for {check.name}")
            finally:
                self.running.remove(check)
        passed = check.name not in self.failing
        return CheckResult(name=check.name, passed=passed, seconds=1.0, last_line="")


def needs_of(checks: Sequence[Check]) -> tuple[int, float]:
    return sum(one.needs.cores for one in checks), sum(one.needs.memory_gb for one in checks)


@pytest.mark.parametrize(("cores", "memory_gb"), [(1, 1.0), (2, 19.2), (4, 5.0), (16, 100.0)])
async def test_as_many_run_at_once_as_cores_and_memory_allow(cores: int, memory_gb: float) -> None:
    checks = StandInChecks(CheckLimiter(Capacity(cores, memory_gb)))
    results = await run_all(CHECKS, checks.run)
    assert [one.name for one in results] == [one.name for one in CHECKS], (
        "none is left out, in the same order"
    )
    for together in checks.seen:
        used_cores, used_gb = needs_of(together)
        assert len(together) == 1 or (used_cores <= cores and used_gb <= memory_gb + 1e-9)
        assert len(together) == 1 or not any(one.needs.alone for one in together)
    assert max(map(len, checks.seen)) >= (1 if cores == 1 else min(cores, 4))


async def test_images_that_are_checked_at_the_same_time_share_the_limits() -> None:
    checks = StandInChecks(CheckLimiter(Capacity(3, 4.0)))
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(run_all, CHECKS, checks.run)
    assert len(checks.seen) == 4 * len(CHECKS)
    assert max(needs_of(together)[0] for together in checks.seen) == 3
    for together in checks.seen:
        assert len(together) == 1 or needs_of(together)[1] <= 4.0


async def test_a_failed_check_stops_no_other() -> None:
    checks = StandInChecks(CheckLimiter(Capacity(2, 8.0)), failing=("imports", "ray_task"))
    results = await run_all(CHECKS, checks.run)
    assert [one.name for one in results if not one.passed] == ["imports", "ray_task"]
    assert len(results) == len(CHECKS)


async def test_a_check_that_cannot_be_run_ends_the_others_with_its_own_error() -> None:
    checks = StandInChecks(CheckLimiter(Capacity(2, 8.0)), broken=("imports",))
    with pytest.raises(ConnectionError, match="no engine for imports"):
        await run_all(CHECKS, checks.run)
    assert checks.running == []
    assert not any(one.name == "ray_task" for together in checks.seen for one in together)
    # What was cancelled holds nothing: all can run again.
    checks.broken = ()
    assert len(await run_all(CHECKS, checks.run)) == len(CHECKS)


async def test_checks_that_are_cancelled_leave_nothing_behind() -> None:
    limiter = CheckLimiter(Capacity(2, 8.0))
    checks = StandInChecks(limiter)
    async with anyio.create_task_group() as group:
        group.start_soon(run_all, CHECKS, checks.run)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        assert checks.running
        group.cancel_scope.cancel()
    assert checks.running == []
    with anyio.fail_after(5):
        async with limiter.run(ALONE):
            pass


async def test_while_something_compiles_one_check_runs_at_a_time() -> None:
    limiter = CheckLimiter(Capacity(16, 100.0))
    checks = StandInChecks(limiter)
    with limiter.one_at_a_time():
        await run_all(CHECKS, checks.run)
    assert max(map(len, checks.seen)) == 1
    await run_all(CHECKS, checks.run)
    assert max(map(len, checks.seen)) > 1


@pytest.mark.parametrize(
    ("needs", "running", "starts"),
    [
        (LARGE, [], True),
        (CheckNeeds(memory_gb=99.0, cores=99, alone=True), [], True),
        (SMALL, [SMALL], True),
        (SMALL, [SMALL, SMALL], False),
        (LARGE, [LARGE], False),
        (WIDE, [SMALL], False),
        (ALONE, [SMALL], False),
        (SMALL, [ALONE], False),
    ],
)
def test_what_may_start_beside_what(needs: CheckNeeds, running: list[CheckNeeds], starts: bool) -> None:
    assert may_start(needs, running, Capacity(cores=2, memory_gb=4.0)) is starts


async def test_a_small_check_overtakes_a_large_one_but_not_for_ever() -> None:
    two = Capacity(cores=2, memory_gb=4.0)
    wide, small = Waiting(WIDE), Waiting(SMALL)
    assert choose_next([wide, small], [SMALL], two) == [small]
    assert (wide.overtaken, small.overtaken) == (1, 0)
    wide.overtaken = MOST_OVERTAKEN
    assert choose_next([wide, small], [SMALL], two) == []
    assert choose_next([wide, small], [], two) == [wide]


def test_the_engine_keeps_a_part_of_the_memory() -> None:
    assert check_capacity(Machine(cores=16, memory=64 * GB, free_disk=0)) == Capacity(16, 51.2)


def test_the_longest_checks_start_first_and_ray_is_alone() -> None:
    assert CHECK_NEEDS["ray_task"].alone
    longest = sorted(CHECK_NEEDS, key=lambda name: -CHECK_NEEDS[name].seconds)[:3]
    assert set(longest) == {"torch_compile_cpu", "cpp_extension_cuda", "conda_tools"}
