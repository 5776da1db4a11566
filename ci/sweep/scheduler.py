"""Schedule the cells of a sweep: several at once, and each shared stage only once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from traceback import format_exception
from typing import TypeVar

import anyio

from ci.history.failures import TAIL, StageError
from ci.history.records import BuildRecord, CompiledObjects, Failure, StageRun
from ci.plan.attempt import FIRST_ATTEMPT, Attempts, StageAttempt
from ci.plan.plan import Plan
from ci.plan.stage import Stage
from ci.sweep.capacity import is_compilation
from ci.sweep.interface import Executor, FinishingStep, ImageResult
from ci.sweep.recorder import CellAttempt, Recorder
from ci.sweep.retry import plan_retry
from ci.util.errors import one_line, remove_trace_ids
from ci.util.units import GB, format_gb

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class SweepLimits:
    """Limits of a sweep: cells at once, compile jobs, and when it starts no further cell.

    No cell starts with less than `disk_floor` bytes of free disk or, with `fail_fast`, after another has failed.
    """

    cells: int = 1
    disk_floor: int = 30 * GB
    jobs: int = 2
    fail_fast: bool = False


async def sweep(
    plans: Sequence[Plan],
    executor: Executor,
    limits: SweepLimits,
    *,
    run: str,
    sources: str,
    known: Mapping[str, StageAttempt] | None = None,
) -> tuple[BuildRecord, ...]:
    """Build every plan and return the last record of each, in the order of the plans.

    `known` are the successful attempts of earlier runs, by stage digest. Exceptions of a cell never propagate:
    failures and internal errors become failed records.
    """
    recorder = Recorder(executor, run, sources)
    async with recorder.writing():
        await Scheduler(executor, recorder, limits, known or {}).build(plans)
    return tuple(recorder.latest[plan.id] for plan in plans)


@dataclass
class _SharedStage:
    """A stage that was built, or is being built, by the cell `owner` for all cells that need it."""

    owner: str
    attempt: StageAttempt
    done: anyio.Event = field(default_factory=anyio.Event)
    failure: Failure | None = None
    objects: CompiledObjects | None = None

    def stage_run(self, stage: Stage, seconds: float, *, shared: bool) -> StageRun:
        """Return the stage's part of a cell's record; the cell spent `seconds` on it."""
        return StageRun(
            name=stage.name,
            digest=stage.digest,
            seconds=round(max(0.0, seconds), 1),
            shared_with=self.owner if shared else "",
            jobs=self.attempt.jobs,
            tried=self.attempt.number,
            objects=self.objects,
        )


class Scheduler:
    """Build many cells at once.

    A stage that several cells share is built by the first one, and awaited by the others.
    """

    def __init__(
        self,
        executor: Executor,
        recorder: Recorder,
        limits: SweepLimits,
        known: Mapping[str, StageAttempt],
    ) -> None:
        self._executor = executor
        self._recorder = recorder
        self._limits = limits
        self._known = known
        self._slots = anyio.CapacityLimiter(limits.cells)
        # One compile step uses all cores and memory.
        self._compile_slot = anyio.CapacityLimiter(1)
        self._shared: dict[str, _SharedStage] = {}
        self._stop_reason = ""

    async def build(self, plans: Sequence[Plan]) -> None:
        """Build every plan, and record how each cell ended."""
        async with anyio.create_task_group() as group:
            for plan in plans:
                # Tasks wait for a slot in the order in which they are started.
                group.start_soon(self._build_cell, plan)

    async def _build_cell(self, plan: Plan) -> None:
        async with self._slots:
            attempt = self._recorder.begin(plan)
            try:
                if await self._may_start():
                    await self._build_image(attempt)
                else:
                    self._recorder.add(attempt, "not-run", notes=(self._stop_reason,))
            except StageError as error:
                self._fail(attempt, error.failure)
            except Exception as error:  # noqa: BLE001 - a bug fails its cell only, and is recorded as one
                self._fail(attempt, _bug_failure(attempt.current, error))

    async def _may_start(self) -> bool:
        if not self._stop_reason:
            free, floor = await self._executor.free_disk(), self._limits.disk_floor
            if free < floor:
                self._stop_reason = (
                    f"not started: {format_gb(free)} of disk free, below the floor of {floor / GB:g} GB"
                )
        return not self._stop_reason

    async def _build_image(self, attempt: CellAttempt) -> None:
        plan = attempt.plan
        self._recorder.add(attempt, "building")
        for stage in plan.stages:
            attempt.current = stage.name
            await self._build_or_await(attempt, stage)
        result = ImageResult()
        for name, step in self._executor.finishing_steps().items():
            attempt.current = name
            result = await self._finish(attempt, name, step, result)
        self._recorder.add(attempt, **dict(result))

    async def _finish(
        self, attempt: CellAttempt, name: str, step: FinishingStep, result: ImageResult
    ) -> ImageResult:
        """Run a step after the stages; the record also has the time of one that failed."""
        started, plan = self._executor.seconds(), attempt.plan
        try:
            return await self._retry(attempt, name, lambda: step(plan, self._attempts(plan), result))
        finally:
            seconds = max(0.0, self._executor.seconds() - started)
            attempt.stages.append(StageRun(name=name, seconds=round(seconds, 1)))

    def _fail(self, attempt: CellAttempt, failure: Failure) -> None:
        self._recorder.add(attempt, "failed", failure=failure)
        if self._limits.fail_fast and not self._stop_reason:
            self._stop_reason = f"not started: {attempt.plan.id} failed, and --fail-fast was given"

    async def _build_or_await(self, attempt: CellAttempt, stage: Stage) -> None:
        """Build a stage, or wait for the cell that builds it already."""
        started = self._executor.seconds()
        shared = self._shared.get(stage.digest)
        builds = shared is None
        if shared is None:
            first = self._known.get(stage.digest, FIRST_ATTEMPT)
            shared = self._shared[stage.digest] = _SharedStage(attempt.plan.id, first)
            await self._build_shared(attempt, stage, shared)
        else:
            await self._await_shared(shared)
        seconds = self._executor.seconds() - started
        attempt.stages.append(shared.stage_run(stage, seconds, shared=not builds))

    async def _build_shared(self, attempt: CellAttempt, stage: Stage, shared: _SharedStage) -> None:
        try:
            step = partial(self._build_stage, attempt.plan, stage)
            shared.objects = await self._retry(attempt, stage.name, step, shared)
        except StageError as error:
            shared.failure = error.failure
            raise
        except Exception as error:
            shared.failure = _bug_failure(stage.name, error)
            raise
        finally:
            shared.done.set()

    async def _await_shared(self, shared: _SharedStage) -> None:
        if not shared.done.is_set():
            # Another cell can use the slot meanwhile.
            self._slots.release()
            try:
                await shared.done.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._slots.acquire()
        if shared.failure:
            raise StageError(shared.failure)

    async def _build_stage(self, plan: Plan, stage: Stage) -> CompiledObjects | None:
        attempts = self._attempts(plan)
        if is_compilation(stage):
            async with self._compile_slot:
                return await self._executor.build_stage(plan, stage.name, attempts)
        return await self._executor.build_stage(plan, stage.name, attempts)

    async def _retry(
        self,
        attempt: CellAttempt,
        name: str,
        step: Callable[[], Awaitable[R]],
        shared: _SharedStage | None = None,
    ) -> R:
        """Run a step, again and again while the policy for its failure allows it."""
        tries = 1
        while True:
            try:
                return await step()
            except StageError as error:
                retry = plan_retry(
                    error.failure, tries, shared.attempt if shared else None, self._limits.jobs
                )
                if retry is None or self._stop_reason:
                    raise
                if shared and retry.attempt:
                    shared.attempt = retry.attempt
                note = f"{name}: {retry.note}"
                self._recorder.add(attempt, "failed", failure=error.failure, notes=(note,))
                await self._executor.sleep(retry.pause)
                tries += 1
                self._recorder.begin_again(attempt)

    def _attempts(self, plan: Plan) -> Attempts:
        """Return how each stage of a plan is tried; built stages keep the attempt that succeeded."""
        shared = ((stage.name, self._shared.get(stage.digest)) for stage in plan.stages)
        return {name: one.attempt for name, one in shared if one and one.attempt != FIRST_ATTEMPT}


def _bug_failure(stage: str, error: Exception) -> Failure:
    text = remove_trace_ids("".join(format_exception(error)))
    lines = [one_line(line) for line in text.splitlines() if line.strip()]
    message = one_line(remove_trace_ids(repr(error)))[:300]
    return Failure(kind="bug", stage=stage, message=message, tail=tuple(lines[-TAIL:]))
