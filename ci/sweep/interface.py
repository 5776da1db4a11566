"""Define the interface between the scheduler of a sweep and the executor that builds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol

from ci.history.records import BuildRecord, CompiledObjects, ImageFacts
from ci.plan.attempt import Attempts
from ci.plan.plan import Plan


class ImageResult(ImageFacts):
    """A finished image; its status is `warning` if something about it needs attention."""

    status: Literal["ok", "warning"] = "ok"


# A step after an image's stages: it gets what the steps before it found out, and returns that with its own.
FinishingStep = Callable[[Plan, Attempts, ImageResult], Awaitable[ImageResult]]


class Executor(Protocol):
    """Carry out the work of a sweep.

    A method may raise StageError if its work failed. A sweep records any other exception as a bug.
    """

    async def build_stage(self, plan: Plan, name: str, attempts: Attempts) -> CompiledObjects | None:
        """Build one stage of a plan; return what it compiled, if it compiles."""

    def finishing_steps(self) -> Mapping[str, FinishingStep]:
        """Return the steps that follow an image's stages, by name and in order: `verify`, `measure`, `publish`."""

    async def free_disk(self) -> int:
        """Return the free bytes on the disk where images are built."""

    async def append_records(self, records: Sequence[BuildRecord]) -> None:
        """Append records to the history, and return when they would survive a crash."""

    async def sleep(self, seconds: float) -> None:
        """Wait before a retry."""

    def now(self) -> str:
        """Return the time, UTC in ISO 8601."""

    def seconds(self) -> float:
        """Return a monotonic clock in seconds, to measure durations."""
