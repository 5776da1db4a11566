"""Python packages into the environment, by uv."""

import dagger
from dagger import dag

from ci.plan.caches import Cache
from ci.plan.commands import install_packages
from ci.plan.externals import PACKAGES
from ci.plan.specs import InstallSpec
from ci.stages.cache_volumes import with_cache, without_cache
from ci.stages.context import BuildContext, with_program, without_program

_LOCK = "/run/requirements.txt"
_PROGRAM = "install_packages.sh"


def install(container: dagger.Container, context: BuildContext, spec: InstallSpec) -> dagger.Container:
    """Install what a spec asks for."""
    if context.offline_bundle:  # it has what the other index gave, too
        spec = spec.model_copy(update={"extra_index": None})
    lock = dag.directory().with_new_file("requirements.txt", spec.requirements).file("requirements.txt")
    container = with_cache(context.with_mirror(container, PACKAGES), Cache.UV).with_mounted_file(_LOCK, lock)
    container = container.with_env_variable("UV_CACHE_DIR", Cache.UV.path)
    container = context.run(with_program(container, _PROGRAM), install_packages(spec, _LOCK))
    container = without_program(container, _PROGRAM).without_env_variable("UV_CACHE_DIR")
    return context.without_network(without_cache(container.without_mount(_LOCK), Cache.UV))
