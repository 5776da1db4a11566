"""Puts the stages together as a plan says; every step is lazy, and equal steps of two cells are one in the engine."""

from itertools import pairwise

import dagger

from ci.effort import USUAL, Efforts
from ci.plan import Plan
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


class Build:
    """The stages of one plan, by name."""

    def __init__(self, plan: Plan, site: Site, efforts: Efforts | None = None) -> None:
        self.plan = plan
        self.site = site
        self.efforts = efforts or {}

    def channel(self) -> dagger.Directory | None:
        """Return the conda channel that is made here, None where the sources name channels."""
        if not self.plan.has("channel"):
            return None
        return channel.build(self._site("channel"), self.plan.spec("channel", ChannelSpec))

    def toolkit(self) -> dagger.Directory | None:
        """Return the CUDA toolkit, None for the CPU."""
        if not self.plan.has("toolkit"):
            return None
        return toolkit.build(self._site("toolkit"), self.plan.spec("toolkit", ToolkitSpec))

    def base(self) -> dagger.Container:
        """Return the devel base."""
        spec = self.plan.spec("base", BaseSpec)
        return base.build(self._site("base"), spec, self.toolkit() if spec.adds_toolkit else None)

    def conda(self) -> dagger.Container:
        """Return the base with the conda environment."""
        return conda.build(self._site("conda"), self._conda, self.base(), self.channel())

    def torch(self) -> dagger.Container:
        """Return the environment with PyTorch."""
        return torch.build(self._site("torch"), self.plan.spec("torch", InstallSpec), self.conda())

    def wheels(self) -> dagger.Directory | None:
        """Return the compiled PyG extensions, None where wheels exist for all of them."""
        if not self.plan.has("wheels"):
            return None
        return wheels.build(self._site("wheels"), self.plan.spec("wheels", WheelsSpec), self.torch())

    def pyg(self) -> dagger.Container:
        """Return the environment with PyTorch Geometric."""
        return pyg.build(self._site("pyg"), self.plan.spec("pyg", PygSpec), self.torch(), self.wheels())

    def ray(self) -> dagger.Container:
        """Return the environment with Ray."""
        return ray.build(self._site("ray"), self.plan.spec("ray", RaySpec), self.pyg())

    def marimo(self) -> dagger.Container:
        """Return the environment with marimo."""
        return marimo.build(self._site("marimo"), self.plan.spec("marimo", InstallSpec), self.ray())

    def environment(self) -> dagger.Container:
        """Return the whole environment of the cell, in the devel base."""
        if self.plan.has("marimo"):
            return self.marimo()
        return self.ray() if self.plan.has("ray") else self.pyg()

    def runtime_base(self) -> dagger.Container:
        """Return the runtime base."""
        spec = self.plan.spec("runtime-base", RuntimeBaseSpec)
        return runtime.base(self._site("runtime-base"), spec, self.toolkit())

    def layers(self) -> list[dagger.Directory]:
        """Return the layers of a runtime: the packed environment, then what Ray and marimo add."""
        steps = [self.pyg()]
        steps += [self.ray()] if self.plan.has("ray") else []
        steps += [self.marimo()] if self.plan.has("marimo") else []
        packed = pack.tree(self._site("pack"), self._conda, steps[0], self.channel())
        found = [packed, *(delta.added(below, above) for below, above in pairwise(steps))]
        if self.plan.spec("pack", PackSpec).strip:
            return [strip.build(self.base(), layer) for layer in found]
        return found

    async def stage(self, name: str) -> None:
        """Build the stage of a plan by its name, and wait for it."""
        made = {
            "channel": self.channel,
            "toolkit": self.toolkit,
            "base": self.base,
            "conda": self.conda,
            "torch": self.torch,
            "wheels": self.wheels,
            "pyg": self.pyg,
            "ray": self.ray,
            "marimo": self.marimo,
            "runtime-base": self.runtime_base,
            "image": self.image,
        }
        for step in self.layers() if name == "pack" else [made[name]()]:
            if step is not None:
                await step.sync()

    def image(self) -> dagger.Container:
        """Return the finished image."""
        if self._image.kind == "devel":
            return image.configure(self.environment(), self._image)
        return image.configure(runtime.unpack(self.runtime_base(), self.layers()), self._image)

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

    def _site(self, name: str) -> Site:
        return self.site.tried_as(self.efforts.get(name, USUAL))

    @property
    def _conda(self) -> CondaSpec:
        return self.plan.spec("conda", CondaSpec)

    @property
    def _image(self) -> ImageSpec:
        return self.plan.spec("image", ImageSpec)
