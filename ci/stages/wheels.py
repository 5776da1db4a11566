"""PyG's extensions compiled from source, with ccache, as many jobs as the memory allows."""

import dagger
from dagger import dag

from ci.specs import CUDA_HOME, PREFIX, WheelsSpec
from ci.stages.base import TOOLS
from ci.stages.caches import Cache, with_cache
from ci.stages.site import PROGRAMS, Site, with_program

_OUT = "/opt/wheels"


def build(site: Site, spec: WheelsSpec, torch: dagger.Container) -> dagger.Directory:
    """Compile the wheels in the environment that they are for; report.json beside them tells the times."""
    sdists = dag.directory().with_new_file("sdists.txt", spec.requirements).file("sdists.txt")
    container = with_cache(site.mirrored(torch), Cache.CCACHE).with_env_variable(
        "CCACHE_DIR", Cache.CCACHE.path
    )
    container = with_program(container.with_mounted_file("/run/sdists.txt", sdists), "compile_wheels.py")
    command = [f"{TOOLS}/bin/python", f"{PROGRAMS}/compile_wheels.py", "--requirements", "/run/sdists.txt"]
    command += ["--python", f"{PREFIX}/bin/python", "--out", _OUT, "--job-gb", str(spec.job_gb)]
    command += ["--arch-list", spec.arch_list, "--cuda-home", CUDA_HOME] if spec.arch_list else ["--cpu"]
    command += ["--jobs", str(site.jobs)] if site.jobs else []
    return container.with_exec(command).directory(_OUT)
