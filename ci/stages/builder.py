"""Puts the stages together as a plan says; every step is lazy, and equal steps of two cells are one in the engine."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import dagger

from ci.plan.attempt import FIRST_ATTEMPT, Attempts, StageAttempt
from ci.plan.externals import list_stage_inputs
from ci.plan.planner import Plan
from ci.plan.specs import (
    BaseSpec,
    ChannelSpec,
    CondaSpec,
    ImageSpec,
    InstallSpec,
    InterpreterSpec,
    PackSpec,
    PygSpec,
    RaySpec,
    RuntimeBaseSpec,
    ToolkitSpec,
    WheelsSpec,
)
from ci.stages import bases as base
from ci.stages import (
    channel,
    conda,
    delta,
    image,
    interpreter,
    marimo,
    pack,
    pyg,
    ray,
    runtime,
    toolkit,
    torch,
    trim,
    wheels,
)
from ci.stages import layers as libraries
from ci.stages.context import BuildContext
from ci.stages.step import Step
from ci.util.errors import UserError

Key = tuple[str, StageAttempt]
Composed = dagger.Container | dagger.Directory | dict[str, dagger.Directory] | None  # the layers have names
T = TypeVar("T")


@dataclass
class StageCache:
    """Stages that were composed, by digest and effort: they are composed once, for all cells that stand on them.

    One that was built is held by its id, so that the engine is not told again how it is made.
    """

    containers: dict[Key, dagger.Container] = field(default_factory=dict)
    directories: dict[Key, dagger.Directory] = field(default_factory=dict)
    layers: dict[Key, dagger.Directory] = field(default_factory=dict)
    synced: set[Key] = field(default_factory=set)  # the layers that were built


class ImageBuilder:
    """The stages of one plan, by name."""

    def __init__(
        self,
        plan: Plan,
        context: BuildContext,
        attempts: Attempts | None = None,
        made: StageCache | None = None,
    ) -> None:
        self.plan = plan
        self.context = context
        self.attempts = attempts or {}
        self.made = made or StageCache()

    def channel(self) -> dagger.Directory | None:
        """Return the conda channel that is made here or comes in a bundle, None where the sources name channels."""
        offline_bundle = self.context.offline_bundle
        if offline_bundle is None:
            return self._directory(
                "channel", lambda context: channel.build(context, self.plan.spec("channel", ChannelSpec))
            )
        image = self.plan.spec("base", BaseSpec).image
        name = "channel" if self.plan.has("channel") else "conda"
        return self._directory(name, lambda context: channel.laid(context, offline_bundle, image))

    def toolkit(self) -> dagger.Directory | None:
        """Return the CUDA toolkit, None for the CPU."""
        return self._directory(
            "toolkit", lambda context: toolkit.build(context, self.plan.spec("toolkit", ToolkitSpec))
        )

    def base(self) -> dagger.Container:
        """Return the devel base."""
        spec = self.plan.spec("base", BaseSpec)
        return self._container(
            "base", lambda context: base.build(context, spec, self.toolkit() if spec.adds_toolkit else None)
        )

    def conda(self) -> dagger.Container:
        """Return the base with the conda environment."""
        return self._container(
            "conda", lambda context: conda.build(context, self._conda, self.base(), self.channel())
        )

    def interpreter(self) -> dagger.Container:
        """Return the base with CPython at the environment's prefix, where no conda makes it."""
        spec = self.plan.spec("interpreter", InterpreterSpec)
        return self._container("interpreter", lambda context: interpreter.build(context, spec, self.base()))

    def torch(self) -> dagger.Container:
        """Return the environment with PyTorch."""
        spec = self.plan.spec("torch", InstallSpec)
        below = self.conda if self._pack.conda else self.interpreter
        return self._container("torch", lambda context: torch.build(context, spec, below()))

    def wheels(self) -> dagger.Directory | None:
        """Return the compiled PyG extensions, None where wheels exist for all of them."""
        return self._directory(
            "wheels",
            lambda context: wheels.build(context, self.plan.spec("wheels", WheelsSpec), self.torch()),
        )

    def pyg(self) -> dagger.Container:
        """Return the environment with PyTorch Geometric."""
        spec = self.plan.spec("pyg", PygSpec)
        return self._container("pyg", lambda context: pyg.build(context, spec, self.torch(), self.wheels()))

    def ray(self) -> dagger.Container:
        """Return the environment with Ray."""
        spec = self.plan.spec("ray", RaySpec)
        return self._container("ray", lambda context: ray.build(context, spec, self.pyg()))

    def marimo(self) -> dagger.Container:
        """Return the environment with marimo."""
        spec = self.plan.spec("marimo", InstallSpec)
        below = self.ray if self.plan.has("ray") else self.pyg
        return self._container("marimo", lambda context: marimo.build(context, spec, below()))

    def environment(self) -> dagger.Container:
        """Return the whole environment of the cell, in the devel base."""
        if self.plan.has("marimo"):
            return self.marimo()
        return self.ray() if self.plan.has("ray") else self.pyg()

    def runtime_base(self) -> dagger.Container:
        """Return the runtime base."""
        spec = self.plan.spec("runtime-base", RuntimeBaseSpec)
        return self._container("runtime-base", lambda context: runtime.base(context, spec, self.toolkit()))

    def layers(self) -> dict[str, dagger.Directory]:
        """Return the layers that lie on a base: CUDA's libraries, the packed environment, what Ray and marimo add."""
        return {name: self._layer(name) for name in self._layer_names()}

    def image(self) -> dagger.Container:
        """Return the finished image."""
        return self._container("image", self._configured)

    async def stage(self, name: str) -> None:
        """Build the stage of a plan by its name, and wait for it."""
        composed, key = self._compose(name), self._key(name)
        if isinstance(composed, dict):
            for layer, tree in composed.items():
                place = self._layer_key(layer)
                if place not in self.made.synced:
                    self.made.layers[place] = await tree.sync()
                    self.made.synced.add(place)
        elif isinstance(composed, dagger.Container):
            self.made.containers[key] = await composed.sync()
        elif composed:
            self.made.directories[key] = await composed.sync()

    def steps(self) -> list[Step]:
        """Return the steps of all stages in the order of the plan; nothing is built."""
        steps: list[Step] = []
        afresh = ImageBuilder(self.plan, replace(self.context, steps=steps), self.attempts)
        for stage in self.plan.stages:
            afresh._compose(stage.name)
        return steps

    def archive(self) -> dagger.File:
        """Return the environment as a relocatable archive.

        Raises:
            UserError: the environment is none of conda's.
        """
        if not self._pack.conda:
            raise UserError(
                f"conda-pack exports what conda made: the environment of variant {self.plan.variant} is not"
            )
        return pack.archive(self._context("pack"), self._conda, self.environment(), self.channel())

    def packed(self) -> dagger.Directory:
        """Return the environment as a tree for its own prefix."""
        return self._exported(self.environment())

    def _compose(self, name: str) -> Composed:
        stages: dict[str, Callable[[], Composed]] = {
            "channel": self.channel,
            "toolkit": self.toolkit,
            "base": self.base,
            "conda": self.conda,
            "interpreter": self.interpreter,
            "torch": self.torch,
            "wheels": self.wheels,
            "pyg": self.pyg,
            "ray": self.ray,
            "marimo": self.marimo,
            "runtime-base": self.runtime_base,
            "pack": self.layers,
            "image": self.image,
        }
        return stages[name]()

    def _layer_names(self) -> list[str]:
        below = ["libraries"] if self._pack.libraries else []
        return [*below, "pack", *(name for name in ("ray", "marimo") if self.plan.has(name))]

    def _layer_key(self, name: str) -> Key:
        # Libraries that two pairs share are taken by each from its own environment: one may fail without the other.
        made = (
            f"libraries of {self.plan.layer_key('pack')}"
            if name == "libraries"
            else self.plan.layer_key(name)
        )
        return made, self.attempts.get("pack", FIRST_ATTEMPT)

    def _layer(self, name: str) -> dagger.Directory:
        key = self._layer_key(name)
        if key not in self.made.layers:
            whole = self._trimmed(self._tree("pack" if name == "libraries" else name))
            if self._pack.libraries and name in ("libraries", "pack"):
                own, rest = libraries.split(whole, self._pack.site_packages)
                whole = own if name == "libraries" else rest
            self.made.layers[key] = whole
        return self.made.layers[key]

    def _tree(self, name: str) -> dagger.Directory:
        if name == "pack":
            return self._exported(self.pyg())
        steps = {"pack": self.pyg, "ray": self.ray, "marimo": self.marimo}
        names = list(steps)
        below = names[names.index(name) - 1]
        return delta.added(steps[below](), steps[name]())

    def _exported(self, env: dagger.Container) -> dagger.Directory:
        if self._pack.conda:
            return pack.tree(self._context("pack"), self._conda, env, self.channel())
        return pack.plain(self._context("pack"), env)

    def _trimmed(self, tree: dagger.Directory) -> dagger.Directory:
        spec = self._pack
        if not spec.trims and spec.strip == "no":
            return tree
        return trim.build(self._context("pack"), self.base(), spec, tree)

    def _configured(self, context: BuildContext) -> dagger.Container:
        layers, base = self.layers(), self.base_image()
        if own := layers.pop("libraries", None):
            base = base.with_directory("/", libraries.layer(context, self.base(), own))
        return image.configure(runtime.unpack(base, list(layers.values())), self._image)

    @property
    def base_name(self) -> str:
        """Return the name of the stage that the environment's layers lie over."""
        return "base" if self._image.kind == "devel" else "runtime-base"

    def base_image(self) -> dagger.Container:
        """Return the image that the environment's layers lie over."""
        return self.base() if self.base_name == "base" else self.runtime_base()

    def _container(self, name: str, make: Callable[[BuildContext], dagger.Container]) -> dagger.Container:
        return self._cached(self.made.containers, name, make)

    def _directory(
        self, name: str, make: Callable[[BuildContext], dagger.Directory]
    ) -> dagger.Directory | None:
        return self._cached(self.made.directories, name, make) if self.plan.has(name) else None

    def _cached(self, made: dict[Key, T], name: str, make: Callable[[BuildContext], T]) -> T:
        key = self._key(name)
        if key not in made:
            made[key] = make(self._context(name))
        return made[key]

    def _key(self, name: str) -> Key:
        digest = next(stage.digest for stage in self.plan.stages if stage.name == name)
        return digest, self.attempts.get(name, FIRST_ATTEMPT)

    def _context(self, name: str) -> BuildContext:
        stage = next(stage for stage in self.plan.stages if stage.name == name)
        externals = list_stage_inputs(stage, self.plan.cell) if self.context.offline_bundle else {}
        return self.context.for_stage(name, self.attempts.get(name, FIRST_ATTEMPT), externals)

    @property
    def _conda(self) -> CondaSpec:
        spec = self.plan.spec("conda", CondaSpec)
        return spec.model_copy(update={"channels": ()}) if self.context.offline_bundle else spec

    @property
    def _pack(self) -> PackSpec:
        return self.plan.spec("pack", PackSpec)

    @property
    def _image(self) -> ImageSpec:
        return self.plan.spec("image", ImageSpec)
