"""How a sweep goes, over plans of the real matrix; what it asks for is done by a yard that builds nothing."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci.history.records import BuildRecord, Failure, History, Kind
from ci.plan.attempt import FIRST_ATTEMPT, Attempts, StageAttempt
from ci.plan.plan import Plan
from ci.sweep.scheduler import Limits, Outcome, StageError, sweep
from ci.util.units import GB
from tests.unit.plans import CELLS, plan

PLANS = [plan(name, "registries") for name in CELLS]
RAY = "cu12.8.1-py3.13-ray-runtime"


def broken(kind: Kind, stage: str = "torch") -> StageError:
    return StageError(Failure(kind=kind, stage=stage, message=f"a {kind}"))


@dataclass
class Yard:
    """Stands in for the engine: counts what is asked of it, and fails where `fault` raises."""

    fault: Callable[[Plan, str, int], None] = lambda *_: None
    disk: list[int] = field(default_factory=list)
    asked: list[tuple[str, str, Attempts]] = field(default_factory=list)
    built: Counter[str] = field(default_factory=Counter)
    kept: list[BuildRecord] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    at_once: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    clock: float = 0.0

    async def stage(self, plan: Plan, name: str, attempts: Attempts) -> None:
        digest = next(stage.digest for stage in plan.stages if stage.name == name)
        self.asked.append((plan.cell.id, name, attempts))
        kinds = ("all", name)
        for kind in kinds:
            self.at_once[kind] += 1
            self.most[kind] = max(self.most[kind], self.at_once[kind])
        try:
            await anyio.lowlevel.checkpoint()
            self.clock += 1
            self.fault(plan, name, sum(ask[1] == name and ask[0] == plan.cell.id for ask in self.asked))
            self.built[digest] += 1
        finally:
            for kind in kinds:
                self.at_once[kind] -= 1

    async def finish(self, plan: Plan, attempts: Attempts) -> Outcome:
        self.asked.append((plan.cell.id, "finish", attempts))
        await anyio.lowlevel.checkpoint()
        tries = sum(ask[:2] == (plan.cell.id, "finish") for ask in self.asked)
        self.fault(plan, "finish", tries)
        return Outcome(size=1, versions={"torch": "1"})

    async def free_disk(self) -> int:
        return self.disk.pop(0) if self.disk else 100 * GB

    async def keep(self, records: Sequence[BuildRecord]) -> None:
        self.kept += records

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def now(self) -> str:
        return "2026-11-22T02:00:00Z"

    def seconds(self) -> float:
        return self.clock


def fails(kind: Kind, at: str, cell_id: str = RAY, tries: int = 99) -> Callable[[Plan, str, int], None]:
    """Fail the first tries of a cell's step."""

    def fault(plan: Plan, name: str, tried: int) -> None:
        if (plan.cell.id, name) == (cell_id, at) and tried <= tries:
            raise broken(kind, at)

    return fault


async def swept(yard: Yard, plans: list[Plan] | None = None, **limits: object) -> dict[str, BuildRecord]:
    chosen = Limits(**limits)  # type: ignore[arg-type]
    records = await sweep(plans or PLANS, yard, chosen, run="now", sources="registries")
    assert [record.cell for record in records] == [made.cell.id for made in plans or PLANS]
    return {record.cell: record for record in records}


@pytest.mark.parametrize("cells", [1, 4, 18])
async def test_every_shared_step_is_built_once(cells: int) -> None:
    yard = Yard()
    records = await swept(yard, cells=cells)
    assert {record.status for record in records.values()} == {"ok"}
    assert set(yard.built.values()) == {1}
    names = Counter(name for _, name, _ in yard.asked)
    # Three pairs of two CUDA and two Python versions.
    assert (names["toolkit"], names["conda"], names["torch"], names["wheels"], names["pyg"]) == (
        2,
        3,
        3,
        3,
        3,
    )
    assert (names["ray"], names["marimo"], names["channel"]) == (3, 3, 1)
    assert names["image"] == names["finish"] == 18


async def test_the_time_of_a_shared_stage_counts_for_the_cell_that_built_it() -> None:
    records = await swept(Yard(), cells=4)
    owners = [stage.digest for record in records.values() for stage in record.stages if not stage.shared_with]
    assert len(owners) == len(set(owners))
    shared = [stage for stage in records[CELLS[1]].stages if stage.shared_with]
    assert {stage.name for stage in shared} >= {"base", "torch", "wheels", "pyg"}
    assert {stage.shared_with for stage in shared} == {CELLS[0]}


@pytest.mark.parametrize("at", ["image", "finish"])
async def test_one_bad_cell_fails_alone(at: str) -> None:
    yard = Yard(fails("compile-error", at))
    records = await swept(yard, cells=3)
    assert {name for name, record in records.items() if record.status != "ok"} == {RAY}
    failure = records[RAY].failure
    assert failure
    assert (failure.kind, failure.stage) == ("compile-error", at)


async def test_a_bad_shared_stage_fails_the_cells_that_stand_on_it() -> None:
    yard = Yard(fails("compile-error", "wheels", CELLS[0]))
    records = await swept(yard, cells=2)
    assert {name for name, record in records.items() if record.status == "failed"} == set(CELLS[:6])
    assert Counter(name for _, name, _ in yard.asked)["wheels"] == 3, "what failed is not tried for each cell"


async def test_a_network_fault_is_tried_again_with_longer_pauses() -> None:
    yard = Yard(fails("network", "torch", CELLS[0], tries=3))
    records = await swept(yard, [PLANS[0], PLANS[1]], cells=2)
    assert {record.status for record in records.values()} == {"ok"}
    assert records[CELLS[0]].attempt == 4
    assert yard.pauses == [2, 4, 8]
    tries = [(one.status, one.attempt) for one in yard.kept if one.cell == CELLS[0]]
    each = [("building", 1), ("failed", 1), ("building", 2), ("failed", 2), ("building", 3), ("failed", 3)]
    assert tries == [*each, ("building", 4), ("ok", 4)]


async def test_a_further_try_is_another_step_and_what_stands_on_it_keeps_its_number() -> None:
    yard = Yard(fails("network", "torch", CELLS[0], tries=2))
    await swept(yard, [PLANS[0], PLANS[1]], cells=2)
    tries = [
        attempts.get("torch", FIRST_ATTEMPT).tried for _, name, attempts in yard.asked if name == "torch"
    ]
    assert tries == [1, 2, 3]
    after = [dict(attempts) for _, name, attempts in yard.asked if name in ("pyg", "image", "finish")]
    assert after == [{"torch": StageAttempt(tried=3)}] * len(after)


async def test_a_later_sweep_builds_each_stage_as_it_came_out() -> None:
    first = Yard(fails("out-of-memory", "wheels", CELLS[0], tries=1))
    await swept(first, PLANS[:2], jobs=2)
    second = Yard()
    known = History(tuple(first.kept)).attempts()
    await sweep(PLANS[:2], second, Limits(), run="later", sources="registries", known=known)
    wheels = [attempts["wheels"] for _, name, attempts in second.asked if name in ("wheels", "finish")]
    assert wheels == [StageAttempt(jobs=1)] * 3
    assert History(tuple(second.kept)).attempts() == known


async def test_a_program_that_crashes_once_costs_one_try() -> None:
    records = await swept(Yard(fails("crash", "marimo", CELLS[4], tries=1)), PLANS[:6])
    assert {record.status for record in records.values()} == {"ok"}
    assert records[CELLS[4]].attempt == 2


async def test_a_network_that_stays_away_fails_the_cell() -> None:
    records = await swept(Yard(fails("network", "finish")), [PLANS[0], PLANS[3]])
    assert records[RAY].status == "failed"
    assert records[RAY].attempt == 4


@pytest.mark.parametrize(
    "kind", ["hash-mismatch", "verification", "compile-error", "missing-wheel", "unknown"]
)
async def test_what_would_fail_again_is_not_tried_again(kind: Kind) -> None:
    yard = Yard(fails(kind, "finish"))
    records = await swept(yard, [PLANS[3]])
    assert records[RAY].attempt == 1
    assert yard.pauses == []


async def test_out_of_memory_is_tried_with_half_the_jobs_and_all_that_follows_keeps_them() -> None:
    yard = Yard(fails("out-of-memory", "wheels", CELLS[0], tries=2))
    records = await swept(yard, PLANS[:6], jobs=8, cells=2)
    assert {record.status for record in records.values()} == {"ok"}
    tries = [attempts.get("wheels", FIRST_ATTEMPT) for _, name, attempts in yard.asked if name == "wheels"]
    assert tries == [FIRST_ATTEMPT, StageAttempt(jobs=4), StageAttempt(jobs=2)]
    above = ("pyg", "ray", "marimo", "pack", "image", "finish")
    after = [dict(attempts) for _, name, attempts in yard.asked if name in above]
    assert after == [{"wheels": StageAttempt(jobs=2)}] * len(after)
    assert any("with 4 compile jobs" in note for one in yard.kept for note in one.notes)


async def test_one_job_cannot_be_halved() -> None:
    yard = Yard(fails("out-of-memory", "wheels", CELLS[0]))
    records = await swept(yard, PLANS[:1], jobs=2)
    assert records[CELLS[0]].status == "failed"
    tries = [attempts.get("wheels", FIRST_ATTEMPT) for _, name, attempts in yard.asked if name == "wheels"]
    assert tries == [FIRST_ATTEMPT, StageAttempt(jobs=1)]


async def test_below_the_disk_floor_no_cell_starts_and_the_report_says_so() -> None:
    yard = Yard(disk=[31 * GB, 30 * GB, 29 * GB])
    records = await swept(yard)
    assert [record.status for record in records.values()] == ["ok"] * 2 + ["not-run"] * 16
    assert records[CELLS[5]].notes == ("not started: 29.0 GB of disk free, below the floor of 30 GB",)
    assert {cell_id for cell_id, _, _ in yard.asked} == set(CELLS[:2])


async def test_fail_fast_is_asked_for() -> None:
    fault = fails("compile-error", "image", CELLS[1])
    assert Counter(one.status for one in (await swept(Yard(fault))).values()) == {"ok": 17, "failed": 1}
    records = await swept(Yard(fault), fail_fast=True)
    assert Counter(one.status for one in records.values()) == {"ok": 1, "failed": 1, "not-run": 16}
    assert "--fail-fast" in records[CELLS[2]].notes[0]


async def test_a_bug_of_ours_shows_as_one_and_fails_its_cell_only() -> None:
    def fault(plan: Plan, name: str, _: int) -> None:
        if (plan.cell.id, name) == (RAY, "finish"):
            raise KeyError("oops [traceparent:0af7-b7ad]")

    records = await swept(Yard(fault), cells=3)
    assert Counter(one.status for one in records.values()) == {"ok": 17, "failed": 1}
    failure = records[RAY].failure
    assert failure
    assert (failure.kind, failure.message) == ("bug", "KeyError('oops')")
    assert any("test_scheduler.py" in line for line in failure.tail)


async def test_no_more_cells_than_allowed_build_at_once_and_never_two_compiles() -> None:
    yard = Yard()
    await swept(yard, cells=3)
    assert yard.most["all"] == 3
    assert yard.most["wheels"] == 1


async def test_who_waits_for_a_stage_leaves_the_slot_to_others() -> None:
    yard = Yard()
    by_pair = [PLANS[0], PLANS[1], PLANS[6]]
    await swept(yard, by_pair, cells=2)
    first = [cell_id for cell_id, _, _ in yard.asked]
    assert first.index(CELLS[6]) < first.index(CELLS[1]), "the second cell of the pair only waits"


KINDS: tuple[Kind, ...] = ("network", "out-of-memory", "hash-mismatch", "compile-error", "unknown")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(
        st.tuples(
            st.sampled_from(CELLS), st.sampled_from(["base", "torch", "wheels", "ray", "image", "finish"])
        ),
        st.tuples(st.sampled_from(KINDS), st.integers(1, 5)),
        max_size=8,
    ),
    st.integers(1, 6),
)
def test_whatever_fails_every_cell_comes_to_an_end_and_nothing_is_built_twice(
    faults: dict[tuple[str, str], tuple[Kind, int]], cells: int
) -> None:
    def fault(plan: Plan, name: str, tried: int) -> None:
        kind, tries = faults.get((plan.cell.id, name), ("unknown", 0))
        if tried <= tries:
            raise broken(kind, name)

    yard = Yard(fault)
    records = anyio.run(lambda: swept(yard, cells=cells))
    assert {record.status for record in records.values()} <= {"ok", "failed"}
    assert set(yard.built.values()) <= {1}
    for name, record in records.items():
        tries = [one for one in yard.kept if one.cell == name]
        assert tries[-1] == record
        assert [one.status for one in tries[::2]] == ["building"] * (len(tries) // 2)
        assert all(one.finished for one in tries[1::2])
        assert record.status == "failed" or len(record.stages) == len(PLANS[CELLS.index(name)].stages)


@dataclass
class SlowPen(Yard):
    """Writes records slowly, in batches."""

    batches: list[int] = field(default_factory=list)
    broken: str = ""

    async def keep(self, records: Sequence[BuildRecord]) -> None:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        self.batches.append(len(records))
        if self.broken:
            raise OSError(self.broken)
        self.kept += records


async def test_cells_do_not_wait_for_records_to_be_written_and_all_are_written_in_order() -> None:
    yard = SlowPen()
    await swept(yard, cells=4)
    assert len(yard.batches) < sum(yard.batches) == 36
    for name in CELLS:
        assert [one.status for one in yard.kept if one.cell == name] == ["building", "ok"]


async def test_the_first_records_are_written_at_once_and_what_comes_soon_after_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ci.sweep.scheduler.WRITE_INTERVAL", math.inf)
    yard = SlowPen()

    def fault(plan: Plan, name: str, _: int) -> None:
        if (plan.cell.id, name) == (CELLS[5], "image"):
            assert [one.status for one in yard.kept] == ["building"], "whoever looks sees that it goes on"

    yard.fault = fault
    records = await swept(yard)
    assert {record.status for record in records.values()} == {"ok"}
    assert yard.batches == [1, 35]


async def test_records_that_cannot_be_written_fail_the_sweep_when_its_cells_are_built() -> None:
    yard = SlowPen(broken="the volume is gone")
    with pytest.raises(OSError, match="the volume is gone"):
        await swept(yard, cells=4)
    assert Counter(name for _, name, _ in yard.asked)["finish"] == 18
