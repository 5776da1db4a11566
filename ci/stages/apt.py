"""Debian and Ubuntu packages, with apt's folders in cache volumes."""

from collections.abc import Sequence

import dagger

from ci.caches import Cache, of_image
from ci.stages.caches import with_cache, without_cache
from ci.stages.site import Site


def on(image: str, site: Site, packages: Sequence[str]) -> dagger.Container:
    """Take a base image and install packages in it."""
    return install(site.image(image), site, packages, of_image(image))


def install(
    container: dagger.Container, site: Site, packages: Sequence[str], variant: str
) -> dagger.Container:
    """Install packages; `variant` names the distribution, whose package lists differ."""
    container = with_cache(with_cache(container, Cache.APT_ARCHIVES, variant), Cache.APT_LISTS, variant)
    container = site.run_program(site.connected(container), "install_debs.sh", packages)
    return site.offline(without_cache(without_cache(container, Cache.APT_LISTS), Cache.APT_ARCHIVES))
