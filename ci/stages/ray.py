"""Ray in the environment: a release, a nightly wheel, or a build of its source."""

import dagger
from dagger import dag

from ci.plan.caches import Cache
from ci.plan.commands import BAZELISK, RAY_DEBS
from ci.plan.specs import PREFIX, RaySpec
from ci.stages import system as apt
from ci.stages.cache_volumes import with_cache
from ci.stages.context import BuildContext, with_program
from ci.stages.install import install

_SOURCE = "/usr/src/ray"
_WHEEL = "/run/ray"
_OUT = "/opt/ray-wheel"


def build(context: BuildContext, spec: RaySpec, below: dagger.Container) -> dagger.Container:
    """Install Ray with its extras."""
    if spec.mode == "stable":
        return install(below, context, spec.install)
    if spec.wheel:
        name = spec.wheel.rsplit("/", 1)[-1]
        wheels = dag.directory().with_file(name, context.download(spec.wheel))
    else:
        wheels = _from_source(context, spec, below)
    # The index may have a wheel of the same version, so this one goes in first and the extras follow.
    mounted = below.with_mounted_directory(_WHEEL, wheels)
    mounted = context.run_program(mounted, "install_wheels.sh", (PREFIX, _WHEEL))
    return install(mounted.without_mount(_WHEEL), context, spec.install)


def _from_source(context: BuildContext, spec: RaySpec, below: dagger.Container) -> dagger.Directory:
    source = dag.git(spec.repository or "").tag(spec.ref or "").tree()
    container = apt.install(below, context, RAY_DEBS, "ray-source")
    container = with_cache(context.with_package_index(container), Cache.BAZEL).with_mounted_directory(
        _SOURCE, source
    )
    arguments = (_SOURCE, PREFIX, Cache.BAZEL.path, _OUT)
    container = with_program(container, BAZELISK)
    return context.run_program(container, "build_ray.sh", arguments).directory(_OUT)
