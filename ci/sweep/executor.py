"""Does for a sweep what it asks: builds stages, verifies, measures and publishes images, keeps records."""

import time
from collections.abc import Mapping, Sequence

import anyio
import dagger
from dagger.telemetry import get_tracer
from opentelemetry.trace import Status, StatusCode

from ci.history.failures import classify_failure
from ci.history.records import BuildRecord, Failure, LayerSize, NamedSize
from ci.inspection import verify
from ci.inspection.measure import MeasuredLayers, measure_image
from ci.plan.attempt import Attempts
from ci.plan.layers import layer_key
from ci.plan.plan import Plan
from ci.session.clock import utc_now
from ci.session.history import KnownHistory
from ci.session.history_store import HistoryStore
from ci.session.machine import read_machine
from ci.session.session import Session
from ci.stages.builder import ImageBuilder, StageCache
from ci.sweep.publish import Publisher
from ci.sweep.scheduler import Outcome, StageError
from ci.sweep.size_gate import check_size_limits
from ci.util.errors import error_message

# Seconds for which a look at the disk counts: cells that are there already start faster than a look takes.
LOOK_AGAIN = 10.0
# The largest packages that a record names; all of them are in what `size` prints.
PACKAGES = 25


class DaggerExecutor:
    """The hands of one sweep, over the real engine."""

    def __init__(
        self,
        session: Session,
        store: HistoryStore,
        known: KnownHistory,
        *,
        verified: bool,
        publisher: Publisher | None,
    ) -> None:
        self._session = session
        self._store = store
        self._before = known.history
        self._verified = verified
        self._publisher = publisher
        self._looks = 0
        self._looking = anyio.Lock()
        self._free, self._stale = known.machine.free_disk, known.seen + LOOK_AGAIN
        self._made = StageCache()
        self._sizes = MeasuredLayers()

    async def stage(self, plan: Plan, name: str, attempts: Attempts) -> None:
        """Build one stage; equal stages of two plans are one in the engine."""
        with get_tracer().start_as_current_span(f"{plan.id}: {name}") as span:
            try:
                await ImageBuilder(plan, self._session.context, attempts, self._made).build_stage(name)
            except dagger.QueryError as error:
                span.set_status(Status(StatusCode.ERROR, name))
                raise StageError(failure_of(name, error)) from None

    async def finish(self, plan: Plan, attempts: Attempts) -> Outcome:
        """Verify, measure and publish; nothing is published that was not verified."""
        build = ImageBuilder(plan, self._session.context, attempts, self._made)
        with get_tracer().start_as_current_span(f"{plan.id}: verify and measure") as span:
            try:
                return await self._finished(build, build.image())
            except dagger.QueryError as error:
                span.set_status(Status(StatusCode.ERROR, "image"))
                raise StageError(failure_of("image", error)) from None

    async def free_disk(self) -> int:
        """Return the bytes that are free on the engine's disk, seen at most ten seconds ago."""
        async with self._looking:
            if self.seconds() >= self._stale:
                self._looks += 1
                machine = await read_machine(
                    self._session.probe_container, f"{self._store.run}-{self._looks}"
                )
                self._free = machine.free_disk
                self._stale = self.seconds() + LOOK_AGAIN
            return self._free

    async def keep(self, records: Sequence[BuildRecord]) -> None:
        """Append records to the history in its cache volume."""
        await self._store.append("".join(record.line() for record in records))

    async def pause(self, seconds: float) -> None:
        """Wait before a step is tried again."""
        await anyio.sleep(seconds)

    def now(self) -> str:
        """Return the time, UTC in ISO 8601."""
        return utc_now()

    def seconds(self) -> float:
        """Return a clock for durations."""
        return time.monotonic()

    async def _finished(self, build: ImageBuilder, image: dagger.Container) -> Outcome:
        plan = build.plan
        outcomes = await verify.run_checks(plan, image) if self._verified else []
        if broken := verify.describe_failed(outcomes):
            lines = tuple(f"{item.name}: {item.last_line}" for item in outcomes if not item.passed)
            raise StageError(Failure(kind="verification", stage="verify", message=broken[:300], tail=lines))
        found = await measure_image(build, self._sizes)
        packages = largest_sizes(found.packages, most=PACKAGES)
        before = self._before.last_good(plan.id)
        if failure := check_size_limits(self._session.matrix.gates, plan.id, found.total, packages, before):
            raise StageError(failure)
        versions = next(
            (dict(item.facts.get("versions", {})) for item in outcomes if item.name == "versions"), {}
        )
        published: tuple[str, ...] = ()
        digest = ""
        if self._publisher:
            tag = self._session.matrix.cuda[plan.cell.cuda].wheel_tag
            published, digest = await self._publisher.publish(build, tag, versions)
        return Outcome(
            size=found.total,
            layers=tuple(
                LayerSize(name=name, size=size, key=layer_key(plan, name))
                for name, size in found.layers.items()
            ),
            packages=packages,
            kinds=largest_sizes(found.kinds),
            elf=largest_sizes(found.elf),
            archs=largest_sizes(found.archs),
            digest=digest,
            published=published,
            versions=versions,
            promises={item.name: item.passed for item in outcomes},
            notes=(
                *(() if self._verified else ("not verified",)),
                *(f"waived: {name}: {reason}" for name, reason in plan.waives),
            ),
            warning=not self._verified,
        )


def largest_sizes(sizes: Mapping[str, int], most: int | None = None) -> tuple[NamedSize, ...]:
    """Return the largest sizes as records have them; a package of pip's goes by its own name."""
    return tuple(
        NamedSize(name=name.removeprefix("pip:"), size=size) for name, size in list(sizes.items())[:most]
    )


def failure_of(stage: str, error: dagger.QueryError) -> Failure:
    """Return what a record says of a step that failed, or of the engine's own work for a stage."""
    if isinstance(error, dagger.ExecError):
        output = f"{error.stdout}\n{error.stderr}"
        return classify_failure(stage, output, exit_code=error.exit_code, command=" ".join(error.command))
    return classify_failure(stage, "", message=error_message(error))
