"""Puts the stages together as a plan says; every step is lazy, and equal steps of two cells are one in the engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import dagger

from ci.effort import USUAL, Effort, Efforts
from ci.plan import Plan, S
from ci.specs import (
    BaseSpec,
    ChannelSpec,
    CondaSpec,
    ImageSpec,
    InstallSpec,
    PackSpec,
    PygSpec,
    RaySpec,
    RuntimeBaseSpec,
    ToolkitSpec,
    WheelsSpec,
)
from ci.stages import (
    base,
    channel,
    conda,
    delta,
    image,
    marimo,
    pack,
    pyg,
    ray,
    runtime,
    strip,
    toolkit,
    torch,
    wheels,
)
from ci.stages.site import Site

Key = tuple[str, Effort]
T = TypeVar("T")


@dataclass
class Made:
    """Stages that were composed, by digest and effort: they are composed once, for all cells that stand on them.

    One that was built is held by its id, so that the engine is not told again how it is made.
    """

    containers: dict[Key, dagger.Container] = field(default_factory=dict)
    directories: dict[Key, dagger.Directory] = field(default_factory=dict)
    layers: dict[Key, list[dagger.Directory]] = field(default_factory=dict)


class Build:
    """The stages of one plan, by name."""

    def __init__(
        self, plan: Plan, site: Site, efforts: Efforts | None = None, made: Made | None = None
    ) -> None:
        self.plan = plan
        self.site = site
        self.efforts = efforts or {}
        self.made = made or Made()

    def channel(self) -> dagger.Directory | None:
        """Return the conda channel that is made here, None where the sources name channels."""
        return self._directory(
            "channel", lambda site: channel.build(site, self._spec("channel", ChannelSpec))
        )

    def toolkit(self) -> dagger.Directory | None:
        """Return the CUDA toolkit, None for the CPU."""
        return self._directory(
            "toolkit", lambda site: toolkit.build(site, self._spec("toolkit", ToolkitSpec))
        )

    def base(self) -> dagger.Container:
        """Return the devel base."""
        spec = self._spec("base", BaseSpec)
        return self._container(
            "base", lambda site: base.build(site, spec, self.toolkit() if spec.adds_toolkit else None)
        )

    def conda(self) -> dagger.Container:
        """Return the base with the conda environment."""
        return self._container(
            "conda", lambda site: conda.build(site, self._conda, self.base(), self.channel())
        )

    def torch(self) -> dagger.Container:
        """Return the environment with PyTorch."""
        spec = self._spec("torch", InstallSpec)
        return self._container("torch", lambda site: torch.build(site, spec, self.conda()))

    def wheels(self) -> dagger.Directory | None:
        """Return the compiled PyG extensions, None where wheels exist for all of them."""
        return self._directory(
            "wheels", lambda site: wheels.build(site, self._spec("wheels", WheelsSpec), self.torch())
        )

    def pyg(self) -> dagger.Container:
        """Return the environment with PyTorch Geometric."""
        spec = self._spec("pyg", PygSpec)
        return self._container("pyg", lambda site: pyg.build(site, spec, self.torch(), self.wheels()))

    def ray(self) -> dagger.Container:
        """Return the environment with Ray."""
        spec = self._spec("ray", RaySpec)
        return self._container("ray", lambda site: ray.build(site, spec, self.pyg()))

    def marimo(self) -> dagger.Container:
        """Return the environment with marimo."""
        spec = self._spec("marimo", InstallSpec)
        below = self.ray if self.plan.has("ray") else self.pyg
        return self._container("marimo", lambda site: marimo.build(site, spec, below()))

    def environment(self) -> dagger.Container:
        """Return the whole environment of the cell, in the devel base."""
        if self.plan.has("marimo"):
            return self.marimo()
        return self.ray() if self.plan.has("ray") else self.pyg()

    def runtime_base(self) -> dagger.Container:
        """Return the runtime base."""
        spec = self._spec("runtime-base", RuntimeBaseSpec)
        return self._container("runtime-base", lambda site: runtime.base(site, spec, self.toolkit()))

    def layers(self) -> list[dagger.Directory]:
        """Return the layers of a runtime: the packed environment, then what Ray and marimo add."""
        key = self._key("pack")
        if key not in self.made.layers:
            self.made.layers[key] = self._layers()
        return self.made.layers[key]

    def image(self) -> dagger.Container:
        """Return the finished image."""
        return self._container("image", lambda _: self._configured())

    async def stage(self, name: str) -> None:
        """Build the stage of a plan by its name, and wait for it."""
        directories = {"channel": self.channel, "toolkit": self.toolkit, "wheels": self.wheels}
        containers = {
            "base": self.base,
            "conda": self.conda,
            "torch": self.torch,
            "pyg": self.pyg,
            "ray": self.ray,
            "marimo": self.marimo,
            "runtime-base": self.runtime_base,
            "image": self.image,
        }
        key = self._key(name)
        if name == "pack":
            self.made.layers[key] = [await layer.sync() for layer in self.layers()]
        elif name in containers:
            self.made.containers[key] = await containers[name]().sync()
        elif directory := directories[name]():
            self.made.directories[key] = await directory.sync()

    def steps(self) -> list[tuple[str, dagger.Container]]:
        """Return the containers that the image grows through, each with the name of the stage that adds to it."""
        if self._image.kind == "devel":
            made = {"base": self.base, "conda": self.conda, "torch": self.torch, "pyg": self.pyg}
            made |= {"ray": self.ray, "marimo": self.marimo}
            return [(name, step()) for name, step in made.items() if self.plan.has(name)]
        base, layers = self.runtime_base(), self.layers()
        names = ["pack", *(name for name in ("ray", "marimo") if self.plan.has(name))]
        grown = [runtime.unpack(base, layers[:count]) for count in range(1, len(layers) + 1)]
        return [("runtime-base", base), *zip(names, grown, strict=True)]

    def archive(self) -> dagger.File:
        """Return the environment as a relocatable archive."""
        return pack.archive(self._site("pack"), self._conda, self.environment(), self.channel())

    def packed(self) -> dagger.Directory:
        """Return the environment as a tree for its own prefix."""
        return pack.tree(self._site("pack"), self._conda, self.environment(), self.channel())

    def _layers(self) -> list[dagger.Directory]:
        steps = [self.pyg()]
        steps += [self.ray()] if self.plan.has("ray") else []
        steps += [self.marimo()] if self.plan.has("marimo") else []
        packed = pack.tree(self._site("pack"), self._conda, steps[0], self.channel())
        found = [packed, *(delta.added(below, above) for below, above in pairwise(steps))]
        if self.plan.spec("pack", PackSpec).strip:
            return [strip.build(self.base(), layer) for layer in found]
        return found

    def _configured(self) -> dagger.Container:
        if self._image.kind == "devel":
            return image.configure(self.environment(), self._image)
        return image.configure(runtime.unpack(self.runtime_base(), self.layers()), self._image)

    def _container(self, name: str, make: Callable[[Site], dagger.Container]) -> dagger.Container:
        return self._composed(self.made.containers, name, make)

    def _directory(self, name: str, make: Callable[[Site], dagger.Directory]) -> dagger.Directory | None:
        return self._composed(self.made.directories, name, make) if self.plan.has(name) else None

    def _composed(self, made: dict[Key, T], name: str, make: Callable[[Site], T]) -> T:
        key = self._key(name)
        if key not in made:
            made[key] = make(self._site(name))
        return made[key]

    def _key(self, name: str) -> Key:
        digest = next(stage.digest for stage in self.plan.stages if stage.name == name)
        return digest, self.efforts.get(name, USUAL)

    def _site(self, name: str) -> Site:
        return self.site.tried_as(self.efforts.get(name, USUAL))

    def _spec(self, name: str, kind: type[S]) -> S:
        return self.plan.spec(name, kind)

    @property
    def _conda(self) -> CondaSpec:
        return self.plan.spec("conda", CondaSpec)

    @property
    def _image(self) -> ImageSpec:
        return self.plan.spec("image", ImageSpec)
