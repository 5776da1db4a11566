"""Describe what a stage may ask for while it is composed: its plan, and the other stages of the image."""

from typing import Protocol

import dagger

from ci.plan.plan import Plan
from ci.stages.context import BuildContext


class ImageStages(Protocol):
    """The stages of one image; `ImageBuilder` composes each when it is asked for first."""

    @property
    def plan(self) -> Plan: ...
    @property
    def context(self) -> BuildContext: ...

    def container(self, name: str) -> dagger.Container:
        """Return a stage that is a container."""
        ...

    def container_below(self, name: str) -> dagger.Container:
        """Return the container that a stage is built on: its first parent."""
        ...

    def directory(self, name: str) -> dagger.Directory | None:
        """Return a stage that is a directory, None if the plan does not have it."""
        ...

    def channel(self) -> dagger.Directory | None:
        """Return the conda channel that is made here or comes in a bundle, None if the sources name channels."""
        ...

    def environment(self) -> dagger.Container:
        """Return the whole environment of the cell, in the devel base."""
        ...

    def layers(self) -> dict[str, dagger.Directory]:
        """Return the layers on a base: CUDA's libraries, the packed environment, what other stages add."""
        ...

    def placed_libraries(self, context: BuildContext) -> dagger.Directory:
        """Return the layer of CUDA's libraries at their place below /, made once for all images that have it."""
        ...

    def base_image(self) -> dagger.Container:
        """Return the image that the environment's layers are put on."""
        ...

    def stage_context(self, name: str) -> BuildContext:
        """Return the context in which a stage is built."""
        ...
