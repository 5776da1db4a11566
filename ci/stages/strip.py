"""Symbols out of the libraries of any image; undone for each file that it would break."""

import dagger

from ci.specs import PREFIX, PackSpec
from ci.stages import trim


def image(tools: dagger.Container, container: dagger.Container) -> dagger.Container:
    """Strip the environment of an image that keeps it at the prefix; `tools` has binutils."""
    spec = PackSpec(prefix=PREFIX, site="", libraries=None, trims=(), strip="unneeded")
    return container.with_directory(PREFIX, trim.build(tools, spec, container.directory(PREFIX)))
