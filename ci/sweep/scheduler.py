"""A sweep over cells: shared stages once, one bad cell alone, retries by kind of failure, and a record of each try.

What is done to a cell comes in from outside (`Work`); here it is decided when, how often, and what is told.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from traceback import format_exception
from typing import Any, Protocol, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from ci.history.failures import POLICIES
from ci.history.records import BuildRecord, Failure, LayerSize, NamedSize, StageRun
from ci.plan.attempt import FIRST_ATTEMPT, Attempts, StageAttempt
from ci.plan.plan import Plan
from ci.plan.stage import Stage
from ci.plan.stages.ray import RaySpec
from ci.plan.stages.wheels import WheelsSpec
from ci.util.errors import one_line, remove_trace_ids
from ci.util.units import GB, format_gb

# Seconds between two writes of records, each of which is a step: what comes meanwhile is written together.
WRITE_INTERVAL = 2.0
R = TypeVar("R")


class StageError(Exception):
    """A step of a cell failed; what is known of it is in `failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came out of a cell whose stages are built: sizes in bytes, versions as found, promises, addresses."""

    size: int | None = None
    compressed: int | None = None
    layers: tuple[LayerSize, ...] = ()
    packages: tuple[NamedSize, ...] = ()
    kinds: tuple[NamedSize, ...] = ()
    elf: tuple[NamedSize, ...] = ()
    archs: tuple[NamedSize, ...] = ()
    digest: str = ""
    published: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    promises: dict[str, bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warning: bool = False


class Executor(Protocol):
    """What a sweep needs done. Each may raise StepError; anything else that it raises is a bug of ours."""

    async def stage(self, plan: Plan, name: str, attempts: Attempts) -> None:
        """Build one stage of a plan."""

    async def finish(self, plan: Plan, attempts: Attempts) -> Outcome:
        """Verify, measure and publish a cell whose stages are built."""

    async def free_disk(self) -> int:
        """Return the bytes that are free where images are built."""

    async def keep(self, records: Sequence[BuildRecord]) -> None:
        """Append records to the history, so that they survive whatever comes next."""

    async def pause(self, seconds: float) -> None:
        """Wait before a step is tried again."""

    def now(self) -> str:
        """Return the time, UTC in ISO 8601."""

    def seconds(self) -> float:
        """Return a clock for durations, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How far a sweep goes: cells at once, bytes of disk below which none starts, compile jobs, and when it stops."""

    cells: int = 1
    disk_floor: int = 30 * GB
    jobs: int = 2
    fail_fast: bool = False


@dataclass
class _SharedStage:
    """A stage that is being built or has been, for all cells that stand on it."""

    owner: str
    done: anyio.Event = field(default_factory=anyio.Event)
    failure: Failure | None = None
    attempt: StageAttempt = FIRST_ATTEMPT


@dataclass
class _CellAttempt:
    """What is known of a cell's try while it runs."""

    plan: Plan
    number: int
    started: str
    clock: float
    stages: list[StageRun] = field(default_factory=list)
    at: str = ""


async def sweep(
    plans: Sequence[Plan],
    work: Executor,
    limits: Limits,
    *,
    run: str,
    sources: str,
    known: Mapping[str, StageAttempt] | None = None,
) -> tuple[BuildRecord, ...]:
    """Build every plan and return the last record of each, in the order of the plans.

    `known` are the efforts, by stage digest, with which stages came out before. No exception of a cell leaves it: a
    failed step is a failed record, and so is a bug of ours.
    """
    return await _Scheduler(work, limits, run, sources, known or {}).run(plans)


class _Scheduler:
    def __init__(
        self, work: Executor, limits: Limits, run: str, sources: str, known: Mapping[str, StageAttempt]
    ) -> None:
        self.work = work
        self.limits = limits
        self.run_id = run
        self.sources = sources
        self.known = known
        self.slots = anyio.CapacityLimiter(limits.cells)
        # One compile takes all cores and memory that there are.
        self.compiler = anyio.CapacityLimiter(1)
        self.shared: dict[str, _SharedStage] = {}
        self.records: dict[str, BuildRecord] = {}
        self.stopped = ""
        self.over = anyio.Event()
        self.told: MemoryObjectSendStream[BuildRecord]
        self.unwritten: Exception | None = None

    async def run(self, plans: Sequence[Plan]) -> tuple[BuildRecord, ...]:
        self.told, written = anyio.create_memory_object_stream[BuildRecord](math.inf)
        async with anyio.create_task_group() as writer:
            writer.start_soon(self._write, written)
            async with self.told, anyio.create_task_group() as group:
                for plan in plans:
                    # Tasks reach for a slot in the order in which they are started.
                    group.start_soon(self._cell, plan)
            self.over.set()
        if self.unwritten:
            raise self.unwritten
        return tuple(self.records[plan.id] for plan in plans)

    async def _cell(self, plan: Plan) -> None:
        async with self.slots:
            trial = _CellAttempt(plan, 1, self.work.now(), self.work.seconds())
            try:
                if await self._may_start():
                    await self._built(trial)
                else:
                    self._keep(trial, self._record(trial, "not-run", notes=(self.stopped,)))
            except StageError as error:
                self._failed(trial, error.failure)
            except Exception as error:  # noqa: BLE001 - a bug of ours fails its cell, and shows as one
                self._failed(trial, _bug(trial.at, error))

    async def _may_start(self) -> bool:
        if not self.stopped:
            free = await self.work.free_disk()
            if free < self.limits.disk_floor:
                floor = self.limits.disk_floor / GB
                self.stopped = f"not started: {format_gb(free)} of disk free, below the floor of {floor:g} GB"
        return not self.stopped

    async def _built(self, trial: _CellAttempt) -> None:
        plan = trial.plan
        self._keep(trial, self._record(trial, "building"))
        for stage in plan.stages:
            await self._stage(trial, stage)
        trial.at = "image"
        outcome = await self._retried(trial, "image", lambda: self.work.finish(plan, self._efforts(plan)))
        status = "warning" if outcome.warning else "ok"
        record = self._record(
            trial,
            status,
            notes=outcome.notes,
            size=outcome.size,
            compressed=outcome.compressed,
            layers=outcome.layers,
            packages=outcome.packages,
            kinds=outcome.kinds,
            elf=outcome.elf,
            archs=outcome.archs,
            digest=outcome.digest,
            published=outcome.published,
            versions=outcome.versions,
            promises=outcome.promises,
        )
        self._keep(trial, record)

    async def _stage(self, trial: _CellAttempt, stage: Stage) -> None:
        """Build a stage, or wait for the cell that builds it already."""
        trial.at = stage.name
        started = self.work.seconds()
        known = self.shared.get(stage.digest)
        if known is None:
            known = self.shared[stage.digest] = _SharedStage(
                trial.plan.id, attempt=self.known.get(stage.digest, FIRST_ATTEMPT)
            )
            try:
                await self._own(trial, stage, known)
            except StageError as error:
                known.failure = error.failure
                raise
            except Exception as error:
                known.failure = _bug(stage.name, error)
                raise
            finally:
                known.done.set()
            trial.stages.append(_ran(stage, self.work.seconds() - started, known))
            return
        if not known.done.is_set():
            # Somebody else may build meanwhile.
            self.slots.release()
            try:
                await known.done.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await self.slots.acquire()
        if known.failure:
            raise StageError(known.failure)
        trial.stages.append(_ran(stage, self.work.seconds() - started, known, shared=True))

    async def _own(self, trial: _CellAttempt, stage: Stage, known: _SharedStage) -> None:
        async def build() -> None:
            attempts = self._efforts(trial.plan)
            if isinstance(stage.spec, WheelsSpec) or (
                isinstance(stage.spec, RaySpec) and stage.spec.mode == "source"
            ):
                async with self.compiler:
                    await self.work.stage(trial.plan, stage.name, attempts)
            else:
                await self.work.stage(trial.plan, stage.name, attempts)

        await self._retried(trial, stage.name, build, known)

    async def _retried(
        self,
        trial: _CellAttempt,
        at: str,
        step: Callable[[], Awaitable[R]],
        known: _SharedStage | None = None,
    ) -> R:
        """Run a step again as long as the kind of its failure promises something from it."""
        tried = 1
        while True:
            try:
                return await step()
            except StageError as error:
                failure = error.failure
                policy = POLICIES[failure.kind]
                if tried >= policy.tries or self.stopped:
                    raise
                note = f"{at}: {failure.kind}, tried again"
                if known:
                    known.attempt = replace(known.attempt, tried=known.attempt.tried + 1)
                if policy.halves_jobs:
                    jobs = (known and known.attempt.jobs) or self.limits.jobs
                    if jobs <= 1 or known is None:
                        raise
                    known.attempt = StageAttempt(jobs=jobs // 2)  # another step for the engine already
                    note += f" with {jobs // 2} compile job{'s' if jobs // 2 > 1 else ''}"
                self._keep(trial, self._record(trial, "failed", failure=failure, notes=(note,)))
                await self.work.pause(policy.pause * 2 ** (tried - 1))
                tried += 1
                trial.number += 1
                trial.started, trial.clock = self.work.now(), self.work.seconds()
                self._keep(trial, self._record(trial, "building"))

    def _efforts(self, plan: Plan) -> Attempts:
        """Return how each stage of a plan is tried, those that were built already as they came out."""
        shared = ((stage.name, self.shared.get(stage.digest)) for stage in plan.stages)
        return {name: known.attempt for name, known in shared if known and known.attempt != FIRST_ATTEMPT}

    def _failed(self, trial: _CellAttempt, failure: Failure) -> None:
        self._keep(trial, self._record(trial, "failed", failure=failure))
        if self.limits.fail_fast and not self.stopped:
            self.stopped = f"not started: {trial.plan.id} failed, and --fail-fast was given"

    def _keep(self, trial: _CellAttempt, record: BuildRecord) -> None:
        self.records[trial.plan.id] = record
        self.told.send_nowait(record)

    async def _write(self, records: MemoryObjectReceiveStream[BuildRecord]) -> None:
        """Write records down in their order, while cells go on: the first at once, then those of every two seconds."""
        async for record in records:
            batch = [record]
            with suppress(anyio.WouldBlock, anyio.EndOfStream):
                while True:
                    batch.append(records.receive_nowait())
            try:
                await self.work.keep(batch)
            except Exception as error:  # noqa: BLE001 - cells are built to their end; the sweep fails afterwards
                self.unwritten = self.unwritten or error
            with anyio.move_on_after(WRITE_INTERVAL):
                await self.over.wait()

    def _record(self, trial: _CellAttempt, status: str, **more: object) -> BuildRecord:
        known: dict[str, Any] = {
            "run": self.run_id,
            "cell": trial.plan.id,
            "attempt": trial.number,
            "plan": trial.plan.digest,
            "sources": self.sources,
            "status": status,
            "started": trial.started,
        }
        if status not in ("building", "not-run"):
            known |= {
                "seconds": round(self.work.seconds() - trial.clock, 1),
                "stages": tuple(trial.stages),
            }
        return BuildRecord.model_validate(known | more)


def _ran(stage: Stage, seconds: float, known: _SharedStage, *, shared: bool = False) -> StageRun:
    return StageRun(
        name=stage.name,
        digest=stage.digest,
        seconds=round(max(0.0, seconds), 1),
        shared_with=known.owner if shared else "",
        jobs=known.attempt.jobs,
        tried=known.attempt.tried,
    )


def _bug(stage: str, error: Exception) -> Failure:
    text = remove_trace_ids("".join(format_exception(error)))
    lines = [one_line(line) for line in text.splitlines() if line.strip()]
    message = one_line(remove_trace_ids(repr(error)))[:300]
    return Failure(kind="bug", stage=stage, message=message, tail=tuple(lines[-15:]))
