"""Create the conda environment in the devel base."""

import dagger

from ci.plan.caches import Cache
from ci.plan.paths import CHANNEL
from ci.plan.stages.conda import PROGRAM, CondaSpec, create_env_command
from ci.stages.cache_volumes import with_cache, without_cache
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.programs import with_program, without_program


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Create the environment at its final prefix."""
    channel = stages.channel()
    container = with_cache(context.with_mirror(stages.container("base")), Cache.CONDA)
    container = with_channel(container, channel)
    command = create_env_command(find_conda_spec(stages), Cache.CONDA.path)
    container = context.run(with_program(container, PROGRAM), command)
    container = without_program(container, PROGRAM)
    container = container.without_mount(CHANNEL) if channel else container
    return context.without_network(without_cache(container, Cache.CONDA))


def find_conda_spec(stages: ImageStages) -> CondaSpec:
    """Return the spec of the environment; a bundle has a channel of its own in place of the sources'."""
    spec = stages.plan.spec("conda", CondaSpec)
    return spec.model_copy(update={"channels": ()}) if stages.context.offline_bundle else spec


def with_channel(container: dagger.Container, channel: dagger.Directory | None) -> dagger.Container:
    """Mount the channel that is made here, if there is one."""
    return container.with_mounted_directory(CHANNEL, channel) if channel else container
