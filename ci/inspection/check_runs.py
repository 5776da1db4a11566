"""Run the checks of a sweep's images, each once in the lowest image that it depends on.

A check counts from the image below where all of this holds:

- The sweep builds that image too, and the plans say that this one is the other with layers on top: the same base and
  layers by digest, run with the same variables, user and folder (`ci.plan.layers.added_layers`).
- The check's program and its arguments are the same for both, and it declares that it does not depend on those layers.
- The layers change nothing that is below them. The plan cannot tell, for what is installed later could replace files,
  so the layers as they were built are compared with what they are put on (`ci/programs/compare_layer.py`).
- It passed. A check that failed below is run in the image itself, so that each failure is seen where it is reported.

What a package below does if it finds one that a layer added (`try: import pandas`) is not excluded. Therefore
`versions`, which imports torch, and `pip_check` run in every image, and `--verify all` runs every check in every image.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Generic, TypeVar

import anyio
import dagger

from ci.inspection.checks import Check, checks_for
from ci.inspection.layer_changes import find_layer_changes
from ci.inspection.limiter import CheckLimiter
from ci.inspection.verify import CheckResult, run_all, run_check
from ci.plan.layers import added_layers, base_name, layer_key
from ci.plan.plan import Plan
from ci.sdk.ids import remember_id
from ci.stages.builder import ImageBuilder

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedResults(Generic[K, V]):
    """Results by key: each is made once, by whoever asks first, while the others wait.

    If it could not be made, or its maker was cancelled, the next one that waits makes it.
    """

    def __init__(self) -> None:
        self._made: dict[K, V] = {}
        self._making: dict[K, anyio.Event] = {}

    async def get(self, key: K, make: Callable[[], Awaitable[V]]) -> V:
        """Return the result of a key."""
        while key not in self._made:
            if key in self._making:
                await self._making[key].wait()
                continue
            done = self._making[key] = anyio.Event()
            try:
                self._made[key] = await make()
            finally:
                del self._making[key]
                done.set()
        return self._made[key]


class CheckRuns:
    """Run the checks of the images of one sweep; with `everywhere` every check runs in every image."""

    def __init__(self, limiter: CheckLimiter, plans: Sequence[Plan], *, everywhere: bool = False) -> None:
        self._limiter = limiter
        self._plans = () if everywhere else tuple(plans)
        self._images: SharedResults[str, dagger.Container] = SharedResults()
        self._results: SharedResults[tuple[str, Check], CheckResult] = SharedResults()
        self._changes: SharedResults[tuple[str, str], tuple[str, ...]] = SharedResults()

    async def run(self, builder: ImageBuilder) -> tuple[list[CheckResult], tuple[str, ...]]:
        """Return the results of an image's checks, and a note for each layer by which results below do not count."""
        plan = builder.plan
        below = [(other, added) for other in self._plans if (added := added_layers(plan, other))]
        below.sort(key=lambda one: -len(one[1]))  # the lowest image first
        notes: dict[str, str] = {}

        async def run_one(check: Check) -> CheckResult:
            for other, added in below:
                if check not in checks_for(other) or not set(added) <= set(check.needs.independent_of):
                    continue
                if found := await self._find_changes(builder, added):
                    notes.update(found)
                    continue
                result = await self._run_in(self._lower_builder(builder, other), check)
                if result.passed:
                    return result.model_copy(update={"ran_in": other.id})
            return await self._run_in(builder, check)

        results = await run_all(checks_for(plan), run_one)
        return results, tuple(notes.values())

    async def _run_in(self, builder: ImageBuilder, check: Check) -> CheckResult:
        """Run a check in an image, or return the result that it had there in this sweep."""
        digest = builder.plan.digest

        async def build() -> dagger.Container:
            return remember_id(await builder.image().sync())

        image = await self._images.get(digest, build)
        return await self._results.get((digest, check), partial(run_check, image, check, self._limiter))

    async def _find_changes(self, builder: ImageBuilder, layers: Sequence[str]) -> dict[str, str]:
        """Return a note for each of some layers that changes what is below it, by the layer's name."""
        plan, notes = builder.plan, {}
        for name in layers:
            key = (plan.stage(base_name(plan)).digest, layer_key(plan, name))
            changes = await self._changes.get(key, partial(find_layer_changes, builder, name))
            if changes:
                more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
                notes[name] = f"checks run again above {name}: it {changes[0]}{more}"
        return notes

    def _lower_builder(self, builder: ImageBuilder, plan: Plan) -> ImageBuilder:
        """Return the builder of an image below, made of the layers of the image above as they were built."""
        return ImageBuilder(plan, builder.context, builder.attempts, builder.cache)
