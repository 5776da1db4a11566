"""Install Ray into the environment: a release, a nightly wheel, or one that is built from source."""

import dagger
from dagger import dag

from ci.plan.caches import Cache
from ci.plan.paths import PREFIX
from ci.plan.stages.ray import BAZELISK, DEBS, PROGRAM, RaySpec
from ci.stages.cache_volumes import with_cache
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.install import install, install_wheels
from ci.stages.programs import with_program
from ci.stages.system import install_packages

_SOURCE = "/usr/src/ray"
_WHEEL = "/run/ray"
_OUT = "/opt/ray-wheel"


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Install Ray with its extras."""
    spec, below = stages.plan.spec("ray", RaySpec), stages.container_below("ray")
    if spec.mode == "stable":
        return install(context, below, spec.install)
    if spec.wheel:
        name = spec.wheel.rsplit("/", 1)[-1]
        wheels = dag.directory().with_file(name, context.download(spec.wheel))
    else:
        wheels = _build_wheel(context, spec, below)
    # The index may have a wheel of the same version, so this one goes in first and the extras follow.
    return install(context, install_wheels(context, below, _WHEEL, wheels), spec.install)


def _build_wheel(context: BuildContext, spec: RaySpec, below: dagger.Container) -> dagger.Directory:
    source = dag.git(spec.repository or "").tag(spec.ref or "").tree()
    container = install_packages(context, below, DEBS, "ray-source")
    container = with_cache(context.with_package_index(container), Cache.BAZEL)
    container = with_program(container.with_mounted_directory(_SOURCE, source), BAZELISK)
    arguments = (_SOURCE, PREFIX, Cache.BAZEL.path, _OUT)
    return context.run_program(container, PROGRAM, arguments).directory(_OUT)
