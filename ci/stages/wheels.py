"""PyG's extensions compiled from source, with ccache, as many jobs as the memory allows."""

import dagger
from dagger import dag

from ci.plan.caches import Cache
from ci.plan.commands import compile_wheels
from ci.plan.externals import SOURCES
from ci.plan.specs import WheelsSpec
from ci.stages.cache_volumes import with_cache
from ci.stages.context import BuildContext, with_program

_OUT = "/opt/wheels"
_LOCK = "/run/sdists.txt"


def build(context: BuildContext, spec: WheelsSpec, torch: dagger.Container) -> dagger.Directory:
    """Compile the wheels in the environment that they are for; report.json beside them tells the times."""
    sdists = dag.directory().with_new_file("sdists.txt", spec.requirements).file("sdists.txt")
    container = with_cache(context.with_mirror(torch, SOURCES), Cache.CCACHE).with_mounted_file(_LOCK, sdists)
    container = with_program(container, "compile_wheels.py").with_env_variable(
        "CCACHE_DIR", Cache.CCACHE.path
    )
    return context.run(container, compile_wheels(spec, _LOCK, _OUT, context.jobs)).directory(_OUT)
