"""Install Python packages into the environment, by uv: the stages torch and marimo, and parts of others."""

import dagger

from ci.plan.caches import Cache
from ci.plan.externals import PACKAGES
from ci.plan.installs import PROGRAM, WHEELS_PROGRAM, InstallSpec, install_command
from ci.plan.paths import PREFIX
from ci.stages.cache_volumes import with_cache, without_cache
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.programs import with_program, without_program
from ci.stages.texts import make_text_file

_LOCK = "/run/requirements.txt"


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Install the packages of a stage that is an installation and no more."""
    spec = stages.plan.spec(context.stage, InstallSpec)
    return install(context, stages.container_below(context.stage), spec)


def install(context: BuildContext, container: dagger.Container, spec: InstallSpec) -> dagger.Container:
    """Install requirement lines."""
    if context.offline_bundle:  # it also has the packages of the other index
        spec = spec.model_copy(update={"extra_index": None})
    lock = make_text_file("requirements.txt", spec.requirements)
    container = with_cache(context.with_mirror(container, PACKAGES), Cache.UV).with_mounted_file(_LOCK, lock)
    container = container.with_env_variable("UV_CACHE_DIR", Cache.UV.path)
    container = context.run(with_program(container, PROGRAM), install_command(spec, _LOCK))
    container = without_program(container, PROGRAM).without_env_variable("UV_CACHE_DIR")
    return context.without_network(without_cache(container.without_mount(_LOCK), Cache.UV))


def install_wheels(
    context: BuildContext, container: dagger.Container, path: str, wheels: dagger.Directory
) -> dagger.Container:
    """Install the wheels of a folder, which is mounted at a path for this step."""
    mounted = container.with_mounted_directory(path, wheels)
    return context.run_program(mounted, WHEELS_PROGRAM, (PREFIX, path)).without_mount(path)
