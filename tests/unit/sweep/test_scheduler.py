"""Scheduling of cells: shared stages are built once, one bad cell fails alone, and limits are kept."""

from collections import Counter
from dataclasses import dataclass

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci.history.failures import POLICIES
from ci.history.records import CompiledObjects, FailureKind, StageRun
from ci.plan.attempt import Attempts
from ci.plan.inputs import Options
from ci.plan.plan import Plan
from ci.util.units import GB
from tests.unit.plans import CELLS, PAIRS, plan
from tests.unit.sweep.fake_executor import OBJECTS, PLANS, RAY, FakeExecutor, broken, fails, run_sweep


@pytest.mark.parametrize("cells", [1, 4, 18])
async def test_every_shared_step_is_built_once(cells: int) -> None:
    executor = FakeExecutor()
    records = await run_sweep(executor, cells=cells)
    assert {record.status for record in records.values()} == {"ok"}
    assert set(executor.built.values()) == {1}
    names = Counter(name for _, name, _ in executor.calls)
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
    records = await run_sweep(FakeExecutor(), cells=4)
    owners = [
        stage.digest
        for record in records.values()
        for stage in record.stages
        if stage.digest and not stage.shared_with
    ]
    assert len(owners) == len(set(owners))
    shared = [stage for stage in records[CELLS[1]].stages if stage.shared_with]
    assert {stage.name for stage in shared} >= {"base", "torch", "wheels", "pyg"}
    assert {stage.shared_with for stage in shared} == {CELLS[0]}


async def test_the_record_says_what_was_compiled_also_where_another_cell_did_it() -> None:
    records = await run_sweep(FakeExecutor(), cells=4)
    for record in records.values():
        found = {stage.name: stage.objects for stage in record.stages if stage.objects}
        assert found == {"wheels": OBJECTS}


async def test_a_step_after_the_stages_is_in_the_record_even_if_it_failed() -> None:
    records = await run_sweep(FakeExecutor(fails("verification", "finish")))
    for name, record in records.items():
        stages = PLANS[CELLS.index(name)].stages
        assert [one.name for one in record.stages] == [*(stage.name for stage in stages), "finish"]
        assert record.stages[-1] == StageRun(name="finish", seconds=1.0)
    assert records[RAY].status == "failed"


@pytest.mark.parametrize("at", ["image", "finish"])
async def test_one_bad_cell_fails_alone(at: str) -> None:
    executor = FakeExecutor(fails("compile-error", at))
    records = await run_sweep(executor, cells=3)
    assert {name for name, record in records.items() if record.status != "ok"} == {RAY}
    failure = records[RAY].failure
    assert failure
    assert (failure.kind, failure.stage) == ("compile-error", at)


async def test_a_failed_shared_stage_fails_all_cells_that_need_it() -> None:
    executor = FakeExecutor(fails("compile-error", "wheels", CELLS[0]))
    records = await run_sweep(executor, cells=2)
    assert {name for name, record in records.items() if record.status == "failed"} == set(CELLS[:6])
    assert Counter(name for _, name, _ in executor.calls)["wheels"] == 3, (
        "what failed is not tried for each cell"
    )


async def test_below_the_disk_floor_no_cell_starts() -> None:
    executor = FakeExecutor(disk=[31 * GB, 30 * GB, 29 * GB])
    records = await run_sweep(executor)
    assert [record.status for record in records.values()] == ["ok"] * 2 + ["not-run"] * 16
    assert records[CELLS[5]].notes == ("not started: 29.0 GB of disk free, below the floor of 30 GB",)
    assert {cell_id for cell_id, _, _ in executor.calls} == set(CELLS[:2])


async def test_fail_fast_is_off_by_default() -> None:
    fault = fails("compile-error", "image", CELLS[1])
    assert Counter(one.status for one in (await run_sweep(FakeExecutor(fault))).values()) == {
        "ok": 17,
        "failed": 1,
    }
    records = await run_sweep(FakeExecutor(fault), fail_fast=True)
    assert Counter(one.status for one in records.values()) == {"ok": 1, "failed": 1, "not-run": 16}
    assert "--fail-fast" in records[CELLS[2]].notes[0]


async def test_a_sweep_that_was_stopped_tries_nothing_again() -> None:
    """Of two cells that are built at once, one fails for good while the other is about to be tried again."""
    first, second = CELLS[0], CELLS[6]

    def fault(plan: Plan, name: str, _: int) -> None:
        if (plan.cell.id, name) == (first, "conda"):
            raise broken("compile-error", name)
        if (plan.cell.id, name) == (second, "torch"):
            raise broken("network", name)

    for fail_fast, tries in ((False, POLICIES["network"].tries), (True, 1)):
        executor = FakeExecutor(fault)
        plans = [PLANS[CELLS.index(name)] for name in (first, second, CELLS[12])]
        records = await run_sweep(executor, plans, cells=2, fail_fast=fail_fast)
        assert [records[name].status for name in (first, second)] == ["failed", "failed"]
        assert sum(call[:2] == (second, "torch") for call in executor.calls) == tries
        assert len(executor.pauses) == tries - 1


async def test_the_first_failure_is_named_as_why_a_sweep_stopped() -> None:
    def fault(plan: Plan, name: str, _: int) -> None:
        if name == ("conda" if plan.cell.id == CELLS[0] else "torch"):
            raise broken("compile-error", name)

    plans = [made for name, made in zip(CELLS, PLANS, strict=True) if name.endswith("-devel")]
    records = await run_sweep(FakeExecutor(fault), plans, cells=2, fail_fast=True)
    counts = Counter(record.status for record in records.values())
    assert counts["failed"] > 1
    assert counts["not-run"] > 1
    notes = {record.notes for record in records.values() if record.status == "not-run"}
    assert notes == {(f"not started: {CELLS[0]} failed, and --fail-fast was given",)}


async def test_a_sweep_that_is_cancelled_while_a_cell_waits_ends_in_peace() -> None:
    """A cell that waits for a shared stage has no slot, and takes one again whatever happens meanwhile."""

    @dataclass
    class Hanging(FakeExecutor):
        async def build_stage(self, plan: Plan, name: str, attempts: Attempts) -> CompiledObjects | None:
            if name == "torch":
                scope.cancel()
                await anyio.sleep_forever()
            return await super().build_stage(plan, name, attempts)

    with anyio.CancelScope() as scope:
        await run_sweep(Hanging(), PLANS[:2], cells=2)
    assert scope.cancelled_caught


async def test_a_bug_is_recorded_and_fails_only_its_cell() -> None:
    def fault(plan: Plan, name: str, _: int) -> None:
        if (plan.cell.id, name) == (RAY, "finish"):
            raise KeyError("oops [traceparent:0af7-b7ad]")

    records = await run_sweep(FakeExecutor(fault), cells=3)
    assert Counter(one.status for one in records.values()) == {"ok": 17, "failed": 1}
    failure = records[RAY].failure
    assert failure
    assert (failure.kind, failure.message) == ("bug", "KeyError('oops')")
    assert any("test_scheduler.py" in line for line in failure.tail)


async def test_the_cell_limit_is_kept_and_only_one_stage_compiles() -> None:
    executor = FakeExecutor()
    await run_sweep(executor, cells=3)
    assert executor.most["all"] == 3
    assert executor.most["wheels"] == 1


@dataclass
class SlowRay(FakeExecutor):
    """Take so long for Ray that all cells come to it."""

    async def build_stage(self, plan: Plan, name: str, attempts: Attempts) -> CompiledObjects | None:
        if name == "ray":
            self.at_once["slow"] += 1
            self.most["slow"] = max(self.most["slow"], self.at_once["slow"])
            for _ in range(100):
                await anyio.lowlevel.checkpoint()
            self.at_once["slow"] -= 1
        return await super().build_stage(plan, name, attempts)


@pytest.mark.parametrize(("mode", "most"), [("stable", 3), ("source", 1)])
async def test_ray_from_source_compiles_alone(mode: str, most: int) -> None:
    plans = [plan(f"{pair}-ray-runtime", options=Options.model_validate({"ray": mode})) for pair in PAIRS]
    executor = SlowRay()
    await run_sweep(executor, plans, cells=3)
    assert executor.most["slow"] == most


async def test_a_cell_that_waits_for_a_stage_frees_its_slot() -> None:
    executor = FakeExecutor()
    by_pair = [PLANS[0], PLANS[1], PLANS[6]]
    await run_sweep(executor, by_pair, cells=2)
    first = [cell_id for cell_id, _, _ in executor.calls]
    assert first.index(CELLS[6]) < first.index(CELLS[1]), "the second cell of the pair only waits"


KINDS: tuple[FailureKind, ...] = ("network", "out-of-memory", "hash-mismatch", "compile-error", "unknown")


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
def test_every_cell_ends_and_nothing_is_built_twice_whatever_fails(
    faults: dict[tuple[str, str], tuple[FailureKind, int]], cells: int
) -> None:
    def fault(plan: Plan, name: str, tried: int) -> None:
        kind, tries = faults.get((plan.cell.id, name), ("unknown", 0))
        if tried <= tries:
            raise broken(kind, name)

    executor = FakeExecutor(fault)
    records = anyio.run(lambda: run_sweep(executor, cells=cells))
    assert {record.status for record in records.values()} <= {"ok", "failed"}
    assert set(executor.built.values()) <= {1}
    for name, record in records.items():
        tries = [one for one in executor.records if one.cell == name]
        assert tries[-1] == record
        assert [one.status for one in tries[::2]] == ["building"] * (len(tries) // 2)
        assert all(one.finished for one in tries[1::2])
        assert record.status == "failed" or len(record.stages) == len(PLANS[CELLS.index(name)].stages) + 1
