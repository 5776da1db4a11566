"""Ray in the environment: a release, a nightly wheel, or a build of its source."""

import dagger
from dagger import dag

from ci.specs import PREFIX, RaySpec
from ci.stages import apt
from ci.stages.base import TOOLS
from ci.stages.caches import Cache, with_cache
from ci.stages.install import install
from ci.stages.site import Site

_SOURCE = "/usr/src/ray"
_WHEEL = "/run/ray"

# bazelisk comes as ray's own setup expects it: `bazel` on PATH. The wheel is all that leaves this container.
_BUILD = f"""
set -eu
npm install --silent --global @bazel/bazelisk
cd {_SOURCE}/python
export BAZEL_CACHE_DIR="$1" BAZEL_ARGS="--disk_cache=$1"
{PREFIX}/bin/python -m pip wheel --no-deps --wheel-dir /opt/ray-wheel .
"""

_INSTALL = f"{TOOLS}/bin/uv pip install --quiet --no-cache --link-mode copy --python {PREFIX} --no-deps {_WHEEL}/*.whl"


def build(site: Site, spec: RaySpec, below: dagger.Container) -> dagger.Container:
    """Install Ray with its extras."""
    if spec.mode == "stable":
        return install(below, site, spec.install)
    if spec.wheel:
        name = spec.wheel.rsplit("/", 1)[-1]
        wheels = dag.directory().with_file(name, site.download(spec.wheel))
    else:
        wheels = _from_source(site, spec, below)
    # The index may have a wheel of the same version, so this one goes in first and the extras follow.
    mounted = below.with_mounted_directory(_WHEEL, wheels).with_exec(["sh", "-c", _INSTALL])
    return install(mounted.without_mount(_WHEEL), site, spec.install)


def _from_source(site: Site, spec: RaySpec, below: dagger.Container) -> dagger.Directory:
    source = dag.git(spec.repository or "").tag(spec.ref or "").tree()
    container = apt.install(below, site, ("nodejs", "npm"), "ray-source")
    container = with_cache(site.online(container), Cache.BAZEL).with_mounted_directory(_SOURCE, source)
    return container.with_exec(["sh", "-c", _BUILD, "ray", Cache.BAZEL.path]).directory("/opt/ray-wheel")
