"""Retries: which failures are tried again, with which pauses and compile jobs."""

import pytest

from ci.history.failures import POLICIES
from ci.history.history import History
from ci.history.records import Failure, FailureKind
from ci.plan.attempt import FIRST_ATTEMPT, StageAttempt
from ci.sweep.retry import Retry, plan_retry
from ci.sweep.scheduler import SweepLimits, sweep
from tests.unit.plans import CELLS
from tests.unit.sweep.fake_executor import PLANS, RAY, FakeExecutor, fails, run_sweep


def failure(kind: FailureKind) -> Failure:
    return Failure(kind=kind, stage="torch", message="m")


def test_the_pause_doubles_and_the_try_is_numbered() -> None:
    first = plan_retry(failure("network"), 1, FIRST_ATTEMPT, jobs=2)
    assert first == Retry(StageAttempt(number=2), 2.0, "network, tried again")
    second = plan_retry(failure("network"), 2, StageAttempt(jobs=3, number=2), jobs=2)
    assert second == Retry(StageAttempt(jobs=3, number=3), 4.0, "network, tried again")
    assert plan_retry(failure("network"), POLICIES["network"].tries, FIRST_ATTEMPT, jobs=2) is None


def test_a_step_without_a_stage_is_retried_unchanged() -> None:
    assert plan_retry(failure("network"), 1, None, jobs=2) == Retry(None, 2.0, "network, tried again")
    assert plan_retry(failure("out-of-memory"), 1, None, jobs=2) is None, "it has no compile jobs"


@pytest.mark.parametrize(
    ("known", "jobs", "half"), [(None, 9, 4), (5, 9, 2), (None, 3, 1), (None, 1, None), (1, 8, None)]
)
def test_the_compile_jobs_are_halved_to_one_at_least(known: int | None, jobs: int, half: int | None) -> None:
    retry = plan_retry(failure("out-of-memory"), 1, StageAttempt(jobs=known, number=2), jobs)
    assert (retry and retry.attempt) == (StageAttempt(jobs=half) if half else None)
    if retry:
        plural = "s" if half != 1 else ""
        assert retry.note == f"out-of-memory, tried again with {half} compile job{plural}"


async def test_a_network_fault_is_retried_with_longer_pauses() -> None:
    executor = FakeExecutor(fails("network", "torch", CELLS[0], tries=3))
    records = await run_sweep(executor, [PLANS[0], PLANS[1]], cells=2)
    assert {record.status for record in records.values()} == {"ok"}
    assert records[CELLS[0]].attempt == 4
    assert executor.pauses == [2, 4, 8]
    tries = [(one.status, one.attempt) for one in executor.records if one.cell == CELLS[0]]
    each = [("building", 1), ("failed", 1), ("building", 2), ("failed", 2), ("building", 3), ("failed", 3)]
    assert tries == [*each, ("building", 4), ("ok", 4)]


async def test_each_try_of_a_stage_is_numbered_and_later_stages_see_the_number() -> None:
    executor = FakeExecutor(fails("network", "torch", CELLS[0], tries=2))
    await run_sweep(executor, [PLANS[0], PLANS[1]], cells=2)
    tries = [
        attempts.get("torch", FIRST_ATTEMPT).number for _, name, attempts in executor.calls if name == "torch"
    ]
    assert tries == [1, 2, 3]
    after = [dict(attempts) for _, name, attempts in executor.calls if name in ("pyg", "image", "finish")]
    assert after == [{"torch": StageAttempt(number=3)}] * len(after)


async def test_a_later_sweep_repeats_the_attempt_that_succeeded() -> None:
    first = FakeExecutor(fails("out-of-memory", "wheels", CELLS[0], tries=1))
    await run_sweep(first, PLANS[:2], jobs=2)
    second = FakeExecutor()
    known = History(tuple(first.records)).attempts()
    await sweep(PLANS[:2], second, SweepLimits(), run="later", sources="registries", known=known)
    wheels = [attempts["wheels"] for _, name, attempts in second.calls if name in ("wheels", "finish")]
    assert wheels == [StageAttempt(jobs=1)] * 3
    assert History(tuple(second.records)).attempts() == known


async def test_a_program_that_crashes_once_costs_one_try() -> None:
    records = await run_sweep(FakeExecutor(fails("crash", "marimo", CELLS[4], tries=1)), PLANS[:6])
    assert {record.status for record in records.values()} == {"ok"}
    assert records[CELLS[4]].attempt == 2


async def test_a_lasting_network_fault_fails_the_cell() -> None:
    records = await run_sweep(FakeExecutor(fails("network", "finish")), [PLANS[0], PLANS[3]])
    assert records[RAY].status == "failed"
    assert records[RAY].attempt == 4


@pytest.mark.parametrize(
    "kind", ["hash-mismatch", "verification", "compile-error", "missing-wheel", "unknown"]
)
async def test_a_failure_that_would_repeat_is_not_retried(kind: FailureKind) -> None:
    executor = FakeExecutor(fails(kind, "finish"))
    records = await run_sweep(executor, [PLANS[3]])
    assert records[RAY].attempt == 1
    assert executor.pauses == []


async def test_out_of_memory_is_retried_with_half_the_jobs_which_later_stages_see() -> None:
    executor = FakeExecutor(fails("out-of-memory", "wheels", CELLS[0], tries=2))
    records = await run_sweep(executor, PLANS[:6], jobs=8, cells=2)
    assert {record.status for record in records.values()} == {"ok"}
    tries = [
        attempts.get("wheels", FIRST_ATTEMPT) for _, name, attempts in executor.calls if name == "wheels"
    ]
    assert tries == [FIRST_ATTEMPT, StageAttempt(jobs=4), StageAttempt(jobs=2)]
    above = ("pyg", "ray", "marimo", "pack", "image", "finish")
    after = [dict(attempts) for _, name, attempts in executor.calls if name in above]
    assert after == [{"wheels": StageAttempt(jobs=2)}] * len(after)
    assert any("with 4 compile jobs" in note for one in executor.records for note in one.notes)


async def test_one_job_cannot_be_halved() -> None:
    executor = FakeExecutor(fails("out-of-memory", "wheels", CELLS[0]))
    records = await run_sweep(executor, PLANS[:1], jobs=2)
    assert records[CELLS[0]].status == "failed"
    tries = [
        attempts.get("wheels", FIRST_ATTEMPT) for _, name, attempts in executor.calls if name == "wheels"
    ]
    assert tries == [FIRST_ATTEMPT, StageAttempt(jobs=1)]
