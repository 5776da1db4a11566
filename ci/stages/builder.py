"""Build the stages of a plan; every step is lazy, and equal steps of two cells are one in the engine."""

from dataclasses import dataclass, field, replace

import dagger

from ci.plan.attempt import FIRST_ATTEMPT, Attempts, StageAttempt
from ci.plan.bundle_inputs import list_stage_inputs
from ci.plan.layers import LIBRARIES_LAYER, base_name, layer_key, layer_names
from ci.plan.plan import Plan
from ci.sdk.ids import remember_id
from ci.stages.channel import copy_bundled_channel
from ci.stages.context import BuildContext
from ci.stages.layers import make_cuda_layer
from ci.stages.pack import make_layer
from ci.stages.registry import BUILDERS, Composed
from ci.stages.step import Step

Key = tuple[str, StageAttempt]


@dataclass
class StageCache:
    """Composed stages by digest and attempt: each is composed once, for all cells that have it.

    One that was built is kept by its id, so that the engine is not asked again how it is made.
    """

    stages: dict[Key, dagger.Container | dagger.Directory] = field(default_factory=dict)
    channels: dict[Key, dagger.Directory] = field(default_factory=dict)  # those of bundles
    layers: dict[Key, dagger.Directory] = field(default_factory=dict)
    placed: dict[Key, dagger.Directory] = field(default_factory=dict)  # CUDA's libraries at their place
    built_layers: set[Key] = field(default_factory=set)


class ImageBuilder:
    """Build the image of one plan, stage by stage."""

    def __init__(
        self,
        plan: Plan,
        context: BuildContext,
        attempts: Attempts | None = None,
        cache: StageCache | None = None,
    ) -> None:
        self.plan = plan
        self.context = context
        self.attempts = attempts or {}
        self.cache = cache or StageCache()

    def container(self, name: str) -> dagger.Container:
        """Return a stage that is a container."""
        found = self.compose(name)
        assert isinstance(found, dagger.Container), name
        return found

    def container_below(self, name: str) -> dagger.Container:
        """Return the container that a stage is built on: its first parent."""
        return self.container(self.plan.stage(name).parents[0].name)

    def directory(self, name: str) -> dagger.Directory | None:
        """Return a stage that is a directory, None if the plan does not have it."""
        if not self.plan.has(name):
            return None
        found = self.compose(name)
        assert isinstance(found, dagger.Directory), name
        return found

    def channel(self) -> dagger.Directory | None:
        """Return the conda channel that is made here or comes in a bundle, None if the sources name channels."""
        bundle = self.context.offline_bundle
        if bundle is None or self.plan.has("channel"):
            return self.directory("channel")
        key = self._key("conda")
        if key not in self.cache.channels:
            self.cache.channels[key] = copy_bundled_channel(self, self.stage_context("conda"), bundle)
        return self.cache.channels[key]

    def environment(self) -> dagger.Container:
        """Return the whole environment of the cell, in the devel base."""
        above = [name for name in layer_names(self.plan) if name not in (LIBRARIES_LAYER, "pack")]
        return self.container(above[-1] if above else "pyg")

    def layers(self) -> dict[str, dagger.Directory]:
        """Return the layers on a base: CUDA's libraries, the packed environment, what other stages add."""
        return {name: self._layer(name) for name in layer_names(self.plan)}

    def placed_libraries(self, context: BuildContext) -> dagger.Directory:
        """Return the layer of CUDA's libraries at their place below /, made once for all images that have it."""
        key = self._layer_key(LIBRARIES_LAYER)
        if key not in self.cache.placed:
            placed = make_cuda_layer(context, self.container("base"), self._layer(LIBRARIES_LAYER))
            self.cache.placed[key] = remember_id(placed)
        return self.cache.placed[key]

    @property
    def base_name(self) -> str:
        """Return the name of the stage that the environment's layers are put on."""
        return base_name(self.plan)

    def base_image(self) -> dagger.Container:
        """Return the image that the environment's layers are put on."""
        return self.container(self.base_name)

    def image(self) -> dagger.Container:
        """Return the finished image."""
        return self.container("image")

    async def build_stage(self, name: str) -> None:
        """Build a stage, and return when it is built."""
        composed, key = self.compose(name), self._key(name)
        if isinstance(composed, dict):
            for layer, tree in composed.items():
                place = self._layer_key(layer)
                if place not in self.cache.built_layers:
                    self.cache.layers[place] = remember_id(await tree.sync())
                    self.cache.built_layers.add(place)
        else:
            self.cache.stages[key] = remember_id(await composed.sync())

    def steps(self) -> list[Step]:
        """Return the steps of all stages in the order of the plan; nothing is built."""
        steps: list[Step] = []
        builder = ImageBuilder(self.plan, replace(self.context, steps=steps), self.attempts)
        for stage in self.plan.stages:
            builder.compose(stage.name)
        return steps

    def compose(self, name: str) -> Composed:
        """Compose a stage once."""
        key = self._key(name)
        if key in self.cache.stages:
            return self.cache.stages[key]
        composed = BUILDERS[name](self, self.stage_context(name))
        if not isinstance(composed, dict):  # layers have a cache of their own
            self.cache.stages[key] = composed
        return composed

    def stage_context(self, name: str) -> BuildContext:
        """Return the context in which a stage is built."""
        stage = self.plan.stage(name)
        externals = list_stage_inputs(stage, self.plan.cell) if self.context.offline_bundle else {}
        return self.context.for_stage(name, self.attempts.get(name, FIRST_ATTEMPT), externals)

    def _layer(self, name: str) -> dagger.Directory:
        key = self._layer_key(name)
        if key not in self.cache.layers:
            self.cache.layers[key] = make_layer(self, self.stage_context("pack"), name)
        return self.cache.layers[key]

    def _layer_key(self, name: str) -> Key:
        # Libraries that two pairs share are taken by each from its own environment: one may fail without the other.
        key = layer_key(self.plan, "pack" if name == LIBRARIES_LAYER else name)
        key = f"libraries of {key}" if name == LIBRARIES_LAYER else key
        return key, self.attempts.get("pack", FIRST_ATTEMPT)

    def _key(self, name: str) -> Key:
        return self.plan.stage(name).digest, self.attempts.get(name, FIRST_ATTEMPT)
