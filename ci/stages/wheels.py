"""PyG's extensions compiled from source, with ccache, as many jobs as the memory allows."""

import dagger
from dagger import dag

from ci.bundle import SOURCES
from ci.caches import Cache
from ci.commands import compile_wheels
from ci.specs import WheelsSpec
from ci.stages.caches import with_cache
from ci.stages.site import Site, with_program

_OUT = "/opt/wheels"
_LOCK = "/run/sdists.txt"


def build(site: Site, spec: WheelsSpec, torch: dagger.Container) -> dagger.Directory:
    """Compile the wheels in the environment that they are for; report.json beside them tells the times."""
    sdists = dag.directory().with_new_file("sdists.txt", spec.requirements).file("sdists.txt")
    container = with_cache(site.mirrored(torch, SOURCES), Cache.CCACHE).with_mounted_file(_LOCK, sdists)
    container = with_program(container, "compile_wheels.py").with_env_variable(
        "CCACHE_DIR", Cache.CCACHE.path
    )
    return site.run(container, compile_wheels(spec, _LOCK, _OUT, site.jobs)).directory(_OUT)
