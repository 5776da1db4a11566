"""Build, verify, measure and publish the images of a sweep with Dagger."""

import time
from collections.abc import Mapping, Sequence

import anyio
import dagger
from dagger.telemetry import get_tracer
from opentelemetry.trace import Status, StatusCode

from ci.history.failures import StageError, classify_failure
from ci.history.records import BuildRecord, Failure, LayerSize, NamedSize
from ci.inspection.measure import MeasuredLayers, measure_image
from ci.inspection.sizes import SizeBreakdown
from ci.inspection.verify import CheckResult, describe_failed, run_checks
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
from ci.sweep.announce import CellLog
from ci.sweep.interface import ImageResult
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
        *,
        verified: bool,
        publisher: Publisher | None,
        log: CellLog,
    ) -> None:
        self._session = session
        self._store = store
        self._history = known.history
        self._verified = verified
        self._publisher = publisher
        self._log = log
        self._free_disk, self._disk_read = known.machine.free_disk, known.seen
        self._disk_reads = 0
        self._disk_lock = anyio.Lock()
        self._stages = StageCache()
        self._measured = MeasuredLayers()

    async def build_stage(self, plan: Plan, name: str, attempts: Attempts) -> None:
        """Build one stage; the engine builds equal stages of two plans once."""
        title = f"{plan.id}: {name}"
        with say_stage(title), get_tracer().start_as_current_span(title) as span:
            try:
                await self._builder(plan, attempts).build_stage(name)
            except dagger.QueryError as error:
                span.set_status(Status(StatusCode.ERROR, name))
                raise StageError(classify_error(name, error)) from None

    async def finish_image(self, plan: Plan, attempts: Attempts) -> ImageResult:
        """Verify, measure and publish an image.

        Raises:
            StageError: a check, a size limit or a push failed; after a failed check nothing is pushed.
        """
        title = f"{plan.id}: verify and measure"
        with say_stage(title), get_tracer().start_as_current_span(title) as span:
            try:
                return await self._finish(self._builder(plan, attempts))
            except dagger.QueryError as error:
                span.set_status(Status(StatusCode.ERROR, "image"))
                raise StageError(classify_error("image", error)) from None

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

    async def _finish(self, builder: ImageBuilder) -> ImageResult:
        plan = builder.plan
        results = await self._run_checks(builder) if self._verified else []
        sizes = await measure_image(builder, self._measured)
        packages = largest_sizes(sizes.packages, MOST_PACKAGES)
        self._require_size(plan, sizes, packages)
        versions = next(
            (dict(result.facts.get("versions", {})) for result in results if result.name == "versions"), {}
        )
        published: tuple[str, ...] = ()
        digest = ""
        if self._publisher:
            tag = self._session.matrix.cuda[plan.cell.cuda].wheel_tag
            published, digest = await self._publisher.publish(builder, tag, versions)
        return ImageResult(
            status="ok" if self._verified else "warning",
            size=sizes.total,
            layers=tuple(
                LayerSize(name=name, size=size, key=layer_key(plan, name))
                for name, size in sizes.layers.items()
            ),
            packages=packages,
            kinds=largest_sizes(sizes.kinds),
            elf=largest_sizes(sizes.elf),
            archs=largest_sizes(sizes.archs),
            digest=digest,
            published=published,
            versions=versions,
            checks={result.name: result.passed for result in results},
            notes=(
                *(() if self._verified else ("not verified",)),
                *(f"waived: {name}: {reason}" for name, reason in plan.waives),
            ),
        )

    async def _run_checks(self, builder: ImageBuilder) -> list[CheckResult]:
        results = await run_checks(builder.plan, builder.image())
        if message := describe_failed(results):
            lines = tuple(f"{result.name}: {result.last_line}" for result in results if not result.passed)
            raise StageError(Failure(kind="verification", stage="verify", message=message[:300], tail=lines))
        return results

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


def classify_error(stage: str, error: dagger.QueryError) -> Failure:
    """Classify an error of Dagger: a failed command of a stage, or a failure of the engine."""
    if isinstance(error, dagger.ExecError):
        output = f"{error.stdout}\n{error.stderr}"
        return classify_failure(stage, output, exit_code=error.exit_code, command=" ".join(error.command))
    return classify_failure(stage, "", message=error_message(error))
