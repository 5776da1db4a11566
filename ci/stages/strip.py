"""Symbols out of the libraries of any image; undone for each file that it would break."""

import dagger

from ci.specs import PREFIX, PackSpec
from ci.stages import trim
from ci.stages.site import Site


def image(site: Site, tools: dagger.Container, container: dagger.Container) -> dagger.Container:
    """Strip the environment of an image that keeps it at the prefix; `tools` has binutils."""
    spec = PackSpec(prefix=PREFIX, conda=False, site="", libraries=None, trims=(), strip="unneeded")
    return container.with_directory(PREFIX, trim.build(site, tools, spec, container.directory(PREFIX)))
