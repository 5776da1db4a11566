"""Build, verify, measure and publish the images of a sweep with Dagger."""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext

import anyio
import anyio.to_thread
import dagger
from dagger.telemetry import get_tracer
from opentelemetry.trace import Status, StatusCode

from ci.history.failures import StageError, classify_failure
from ci.history.records import BuildRecord, CompiledObjects, Failure, LayerSize, NamedSize
from ci.inspection.check_runs import CheckRuns
from ci.inspection.limiter import CheckLimiter, check_capacity
from ci.inspection.measure import MeasuredLayers, measure_image
from ci.inspection.sizes import SizeBreakdown
from ci.inspection.verify import describe_failed
from ci.plan.attempt import Attempts
from ci.plan.layers import layer_key
from ci.plan.plan import Plan
from ci.session.clock import utc_now
from ci.session.history import KnownHistory
from ci.session.history_store import HistoryStore
from ci.session.log import say_stage
from ci.session.machine import read_machine
from ci.session.session import Session
from ci.stages.builder import ImageBuilder, StageCache
from ci.stages.wheels import REPORT
from ci.sweep.announce import CellLog
from ci.sweep.capacity import is_compilation
from ci.sweep.interface import FinishingStep, ImageResult
from ci.sweep.publish import Publisher
from ci.sweep.size_gate import check_size_limits
from ci.util.errors import error_message

# Seconds before free disk is read again: a cell that is cached is finished faster than the disk is read.
DISK_INTERVAL = 10.0
# The largest packages that a record lists; the `size` function prints all.
MOST_PACKAGES = 25


class DaggerExecutor:
    """Carry out the work of one sweep with Dagger; see `Executor` for its methods."""

    def __init__(
        self,
        session: Session,
        store: HistoryStore,
        known: KnownHistory,
        plans: Sequence[Plan],
        *,
        verify: str,
        publisher: Publisher | None,
        log: CellLog,
    ) -> None:
        self._session = session
        self._store = store
        self._history = known.history
        self._publisher = publisher
        self._limiter = CheckLimiter(check_capacity(known.machine))
        runs = CheckRuns(self._limiter, plans, everywhere=verify == "all")
        self._checks = None if verify == "none" else runs
        self._log = log
        self._free_disk, self._disk_read = known.machine.free_disk, known.seen
        self._disk_reads = 0
        self._disk_lock = anyio.Lock()
        self._stages = StageCache()
        self._measured = MeasuredLayers()

    async def build_stage(self, plan: Plan, name: str, attempts: Attempts) -> CompiledObjects | None:
        """Build one stage; the engine builds equal stages of two plans once."""
        compiles = is_compilation(plan.stage(name))
        with self._limiter.one_at_a_time() if compiles else nullcontext():
            async with self._watch(plan, name):
                builder = self._builder(plan, attempts)
                await builder.build_stage(name)
                return await count_objects(builder) if name == "wheels" else None

    def finishing_steps(self) -> Mapping[str, FinishingStep]:
        """Return the steps that follow an image's stages; after a failed one no other runs.

        A step raises StageError if a check, a size limit or a push failed.
        """
        steps = {"verify": self._verify if self._checks else None, "measure": self._measure}
        steps["publish"] = self._publish if self._publisher else None
        return {name: step for name, step in steps.items() if step}

    async def free_disk(self) -> int:
        """Return the free bytes on the engine's disk, as they were at most ten seconds ago."""
        async with self._disk_lock:
            if self.seconds() >= self._disk_read + DISK_INTERVAL:
                self._disk_reads += 1
                cache_buster = f"{self._store.run}-{self._disk_reads}"
                machine = await read_machine(self._session.probe_container, cache_buster)
                self._free_disk, self._disk_read = machine.free_disk, self.seconds()
            return self._free_disk

    async def append_records(self, records: Sequence[BuildRecord]) -> None:
        """Append records to the history in its cache volume."""
        await self._store.append("".join(record.line() for record in records))
        self._log.add(records)

    async def sleep(self, seconds: float) -> None:
        """Wait before a retry."""
        await anyio.sleep(seconds)

    def now(self) -> str:
        """Return the time, UTC in ISO 8601."""
        return utc_now()

    def seconds(self) -> float:
        """Return a monotonic clock in seconds."""
        return time.monotonic()

    def _builder(self, plan: Plan, attempts: Attempts) -> ImageBuilder:
        return ImageBuilder(plan, self._session.context, attempts, self._stages)

    @asynccontextmanager
    async def _watch(self, plan: Plan, name: str) -> AsyncIterator[None]:
        """Say and trace a step, and raise StageError if the engine reports that it failed."""
        title = f"{plan.id}: {name}"
        with say_stage(title), get_tracer().start_as_current_span(title) as span:
            try:
                yield
            except dagger.QueryError as error:
                span.set_status(Status(StatusCode.ERROR, name))
                # Not in the event loop: a step may have printed megabytes, and the other cells go on.
                failure = await classify_in_thread(name, error)
                raise StageError(failure) from None

    async def _verify(self, plan: Plan, attempts: Attempts, result: ImageResult) -> ImageResult:
        """Run the checks of an image that no image below it has passed for it."""
        assert self._checks
        async with self._watch(plan, "verify"):
            results, notes = await self._checks.run(self._builder(plan, attempts))
        if message := describe_failed(results):
            lines = tuple(f"{one.name}: {one.last_line}" for one in results if not one.passed)
            raise StageError(Failure(kind="verification", stage="verify", message=message[:300], tail=lines))
        facts = {one.name: one.facts for one in results}
        found = {
            "versions": dict(facts.get("versions", {}).get("versions", {})),
            "checks": {one.name: one.passed for one in results},
            "checked_in": {one.name: one.ran_in for one in results if one.ran_in},
            "notes": notes,
        }
        return result.model_copy(update=found)

    async def _measure(self, plan: Plan, attempts: Attempts, result: ImageResult) -> ImageResult:
        """Count the bytes of an image, and compare them with the limits."""
        async with self._watch(plan, "measure"):
            sizes = await measure_image(self._builder(plan, attempts), self._measured)
        packages = largest_sizes(sizes.packages, MOST_PACKAGES)
        self._require_size(plan, sizes, packages)
        layers = tuple(
            LayerSize(name=name, size=size, key=layer_key(plan, name)) for name, size in sizes.layers.items()
        )
        waived = (f"waived: {name}: {reason}" for name, reason in plan.waives)
        found = {
            "status": "ok" if self._checks else "warning",
            "size": sizes.total,
            "layers": layers,
            "packages": packages,
            "kinds": largest_sizes(sizes.kinds),
            "elf": largest_sizes(sizes.elf),
            "archs": largest_sizes(sizes.archs),
            "notes": (*(() if self._checks else ("not verified",)), *result.notes, *waived),
        }
        return result.model_copy(update=found)

    async def _publish(self, plan: Plan, attempts: Attempts, result: ImageResult) -> ImageResult:
        """Push an image under its tags."""
        assert self._publisher
        tag = self._session.matrix.cuda[plan.cell.cuda].wheel_tag
        async with self._watch(plan, "publish"):
            builder = self._builder(plan, attempts)
            published, digest = await self._publisher.publish(builder, tag, result.versions)
        return result.model_copy(update={"published": published, "digest": digest})

    def _require_size(self, plan: Plan, sizes: SizeBreakdown, packages: Sequence[NamedSize]) -> None:
        before = self._history.last_good(plan.id)
        limits = self._session.matrix.gates
        if failure := check_size_limits(limits, plan.id, sizes.total, packages, before):
            raise StageError(failure)


def largest_sizes(sizes: Mapping[str, int], most: int | None = None) -> tuple[NamedSize, ...]:
    """Return the first `most` of descending sizes; packages of pip lose their prefix `pip:`."""
    return tuple(
        NamedSize(name=name.removeprefix("pip:"), size=size) for name, size in list(sizes.items())[:most]
    )


async def count_objects(builder: ImageBuilder) -> CompiledObjects:
    """Read what a built compilation tells in its report; nothing is built for it."""
    wheels = builder.directory("wheels")
    assert wheels is not None
    return CompiledObjects.model_validate(json.loads(await wheels.file(REPORT).contents())["objects"])


async def classify_in_thread(stage: str, error: dagger.QueryError) -> Failure:
    """Classify an error of Dagger beside the event loop."""
    return await anyio.to_thread.run_sync(lambda: classify_error(stage, error))


def classify_error(stage: str, error: dagger.QueryError) -> Failure:
    """Classify an error of Dagger: a failed command of a stage, or a failure of the engine."""
    if isinstance(error, dagger.ExecError):
        output = f"{error.stdout}\n{error.stderr}"
        return classify_failure(stage, output, exit_code=error.exit_code, command=" ".join(error.command))
    return classify_failure(stage, "", message=error_message(error))
