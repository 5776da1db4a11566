"""An executor that builds nothing, and plans of the real matrix to give it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel

from ci.history.failures import StageError
from ci.history.records import BuildRecord, CompiledObjects, Failure, FailureKind
from ci.plan.attempt import Attempts
from ci.plan.plan import Plan
from ci.sweep.interface import FinishingStep, ImageResult
from ci.sweep.scheduler import SweepLimits, sweep
from ci.util.units import GB
from tests.unit.plans import CELLS, plan

PLANS = [plan(name, "registries") for name in CELLS]


OBJECTS = CompiledObjects(narrow=66, full=1, cached=60)
RAY = "cu12.8.1-py3.13-ray-runtime"


def broken(kind: FailureKind, stage: str = "torch") -> StageError:
    """Return the error of a stage, with a kind."""
    return StageError(Failure(kind=kind, stage=stage, message=f"a {kind}"))


@dataclass
class FakeExecutor:
    """Record the calls of a sweep; fail where `fault(plan, step, try)` raises. `disk` is the free disk at each call."""

    fault: Callable[[Plan, str, int], None] = lambda *_: None
    disk: list[int] = field(default_factory=list)
    calls: list[tuple[str, str, Attempts]] = field(default_factory=list)
    built: Counter[str] = field(default_factory=Counter)
    records: list[BuildRecord] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    at_once: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    clock: float = 0.0

    async def build_stage(self, plan: Plan, name: str, attempts: Attempts) -> CompiledObjects | None:
        digest = next(stage.digest for stage in plan.stages if stage.name == name)
        self.calls.append((plan.cell.id, name, attempts))
        kinds = ("all", name)
        for kind in kinds:
            self.at_once[kind] += 1
            self.most[kind] = max(self.most[kind], self.at_once[kind])
        try:
            await anyio.lowlevel.checkpoint()
            self.clock += 1
            self.fault(plan, name, sum(call[:2] == (plan.cell.id, name) for call in self.calls))
            self.built[digest] += 1
        finally:
            for kind in kinds:
                self.at_once[kind] -= 1
        return OBJECTS if name == "wheels" else None

    def finishing_steps(self) -> Mapping[str, FinishingStep]:
        return {"finish": self._finish}

    async def _finish(self, plan: Plan, attempts: Attempts, result: ImageResult) -> ImageResult:
        self.calls.append((plan.cell.id, "finish", attempts))
        await anyio.lowlevel.checkpoint()
        self.clock += 1
        tries = sum(call[:2] == (plan.cell.id, "finish") for call in self.calls)
        self.fault(plan, "finish", tries)
        return result.model_copy(update={"size": 1, "versions": {"torch": "1"}})

    async def free_disk(self) -> int:
        return self.disk.pop(0) if self.disk else 100 * GB

    async def append_records(self, records: Sequence[BuildRecord]) -> None:
        self.records += records

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def now(self) -> str:
        return "2026-11-22T02:00:00Z"

    def seconds(self) -> float:
        return self.clock


def fails(
    kind: FailureKind, at: str, cell_id: str = RAY, tries: int = 99
) -> Callable[[Plan, str, int], None]:
    """Return a fault: the first tries of a cell's step fail."""

    def fault(plan: Plan, name: str, tried: int) -> None:
        if (plan.cell.id, name) == (cell_id, at) and tried <= tries:
            raise broken(kind, at)

    return fault


async def run_sweep(
    executor: FakeExecutor, plans: list[Plan] | None = None, **limits: object
) -> dict[str, BuildRecord]:
    """Run a sweep with some limits, by default over all plans, and return the last record of each cell."""
    chosen = SweepLimits(**limits)  # type: ignore[arg-type]
    records = await sweep(plans or PLANS, executor, chosen, run="now", sources="registries")
    assert [record.cell for record in records] == [made.cell.id for made in plans or PLANS]
    return {record.cell: record for record in records}
