"""Symbols out of the libraries of any image; undone for each file that it would break."""

import dagger

from ci.plan.specs import PREFIX, PackSpec
from ci.stages import trim
from ci.stages.context import BuildContext


def image(
    site_packages: BuildContext, tools: dagger.Container, container: dagger.Container
) -> dagger.Container:
    """Strip the environment of an image that keeps it at the prefix; `tools` has binutils."""
    spec = PackSpec(prefix=PREFIX, conda=False, site_packages="", libraries=None, trims=(), strip="unneeded")
    return container.with_directory(
        PREFIX, trim.build(site_packages, tools, spec, container.directory(PREFIX))
    )
