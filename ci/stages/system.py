"""Install Debian packages, with apt's folders in cache volumes, and add the user."""

from collections.abc import Sequence

import dagger

from ci.plan.caches import Cache, name_distribution
from ci.plan.system import DEBS_PROGRAM, USER_PROGRAM, Account, user_arguments
from ci.stages.cache_volumes import with_cache, without_cache
from ci.stages.context import BuildContext


def make_base_with_packages(context: BuildContext, image: str, packages: Sequence[str]) -> dagger.Container:
    """Return a base image with Debian packages installed."""
    return install_packages(context, context.image(image), packages, name_distribution(image))


def install_packages(
    context: BuildContext, container: dagger.Container, packages: Sequence[str], distribution: str
) -> dagger.Container:
    """Install Debian packages; each distribution has package lists of its own."""
    container = with_cache(container, Cache.APT_ARCHIVES, distribution)
    container = with_cache(container, Cache.APT_LISTS, distribution)
    container = context.run_program(context.with_apt(container), DEBS_PROGRAM, packages)
    container = without_cache(without_cache(container, Cache.APT_LISTS), Cache.APT_ARCHIVES)
    return context.without_network(container)


def add_user(context: BuildContext, container: dagger.Container, account: Account) -> dagger.Container:
    """Add the user that images run as, and its working folder."""
    return context.run_program(container, USER_PROGRAM, user_arguments(account))
