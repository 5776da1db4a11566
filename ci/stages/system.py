"""Debian and Ubuntu packages, with apt's folders in cache volumes."""

from collections.abc import Sequence

import dagger

from ci.plan.caches import Cache, of_image
from ci.stages.cache_volumes import with_cache, without_cache
from ci.stages.context import BuildContext


def on(image: str, context: BuildContext, packages: Sequence[str]) -> dagger.Container:
    """Take a base image and install packages in it."""
    return install(context.image(image), context, packages, of_image(image))


def install(
    container: dagger.Container, context: BuildContext, packages: Sequence[str], distribution: str
) -> dagger.Container:
    """Install packages; each distribution has package lists of its own."""
    container = with_cache(
        with_cache(container, Cache.APT_ARCHIVES, distribution), Cache.APT_LISTS, distribution
    )
    container = context.run_program(context.with_apt(container), "install_debs.sh", packages)
    return context.without_network(
        without_cache(without_cache(container, Cache.APT_LISTS), Cache.APT_ARCHIVES)
    )
