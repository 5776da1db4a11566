"""Python packages into the environment, by uv."""

import dagger
from dagger import dag

from ci.specs import PREFIX, InstallSpec
from ci.stages.caches import Cache, with_cache, without_cache
from ci.stages.site import Site

_LOCK = "/run/requirements.txt"
_FROZEN = "/run/frozen.txt"

# The layers of runtime images are deltas: what a lower layer holds must stay as it is. The versions that are
# installed become constraints, and uv's cache is pruned when it holds more than $2 kilobytes.
_SCRIPT = f"""
set -eu
prefix=$1 limit=$2 frozen=$3; shift 3
: >{_FROZEN}
[ "$frozen" = no ] || /opt/tools/bin/uv pip freeze --quiet --python "$prefix" | grep -E '^[A-Za-z0-9._-]+==' >{_FROZEN}
/opt/tools/bin/uv pip install --quiet --python "$prefix" --link-mode copy --constraint {_FROZEN} -r {_LOCK} "$@"
rm -f {_FROZEN}
[ "$(du -sk "$UV_CACHE_DIR" | cut -f1)" -le "$limit" ] || /opt/tools/bin/uv cache prune --quiet --ci
"""


def install(container: dagger.Container, site: Site, spec: InstallSpec, *extra: str) -> dagger.Container:
    """Install what a spec asks for; `extra` are further arguments of `uv pip install`."""
    options: list[str] = ["--require-hashes"] if spec.hashed else []
    if spec.extra_index:
        # torch's index also holds copies of common packages; the best version over all indexes is what pip takes.
        options += ["--index", spec.extra_index, "--index-strategy", "unsafe-best-match"]
    lock = dag.directory().with_new_file("requirements.txt", spec.requirements).file("requirements.txt")
    container = with_cache(site.mirrored(container), Cache.UV).with_mounted_file(_LOCK, lock)
    container = container.with_env_variable("UV_CACHE_DIR", Cache.UV.path)
    limit = str(int(spec.cache_gb * 1e6))
    command = [
        "sh",
        "-c",
        _SCRIPT,
        "install",
        PREFIX,
        limit,
        "yes" if spec.frozen else "no",
        *options,
        *extra,
    ]
    container = container.with_exec(command).without_env_variable("UV_CACHE_DIR")
    return site.offline(without_cache(container.without_mount(_LOCK), Cache.UV))
