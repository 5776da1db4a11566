"""The conda environment, made at the prefix where every image keeps it."""

import dagger

from ci.plan.caches import Cache
from ci.plan.commands import CHANNEL, create_env
from ci.plan.specs import CondaSpec
from ci.stages.cache_volumes import with_cache, without_cache
from ci.stages.context import BuildContext, with_program, without_program


def build(
    context: BuildContext, spec: CondaSpec, base: dagger.Container, local: dagger.Directory | None
) -> dagger.Container:
    """Create the environment in the devel base."""
    container = with_channel(with_cache(context.with_mirror(base), Cache.CONDA), local)
    container = context.run(with_program(container, "make_env.py"), create_env(spec, Cache.CONDA.path))
    container = without_channel(without_program(container, "make_env.py"), local)
    return context.without_network(without_cache(container, Cache.CONDA))


def with_channel(container: dagger.Container, local: dagger.Directory | None) -> dagger.Container:
    """Mount the channel made here, if there is one."""
    return container.with_mounted_directory(CHANNEL, local) if local else container


def without_channel(container: dagger.Container, local: dagger.Directory | None) -> dagger.Container:
    """Unmount it again."""
    return container.without_mount(CHANNEL) if local else container
