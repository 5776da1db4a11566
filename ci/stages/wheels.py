"""Compile PyG's extensions from source, with ccache and as many jobs as the memory allows."""

import dagger

from ci.plan.caches import Cache
from ci.plan.externals import SOURCES
from ci.plan.stages.wheels import PROGRAM, WheelsSpec, compile_wheels_command
from ci.stages.cache_volumes import with_cache
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.programs import with_program
from ci.stages.texts import make_text_file

REPORT = "report.json"
_OUT = "/opt/wheels"
_LOCK = "/run/sdists.txt"


def build(stages: ImageStages, context: BuildContext) -> dagger.Directory:
    """Compile the wheels in the environment that they are for; report.json beside them has the times."""
    spec = stages.plan.spec("wheels", WheelsSpec)
    sdists = make_text_file("sdists.txt", spec.requirements)
    container = with_cache(context.with_mirror(stages.container("torch"), SOURCES), Cache.CCACHE)
    container = with_program(container.with_mounted_file(_LOCK, sdists), PROGRAM)
    container = container.with_env_variable("CCACHE_DIR", Cache.CCACHE.path)
    command = compile_wheels_command(spec, _LOCK, _OUT, context.jobs)
    return context.run(container, command).directory(_OUT)
