"""PyTorch Geometric and its extensions in the environment."""

import dagger
from dagger import dag

from ci.specs import PREFIX, PygSpec
from ci.stages.base import TOOLS
from ci.stages.install import install
from ci.stages.site import Site

_COMPILED = "/run/wheels"
_FETCHED = "/run/fetched"

# Made for the torch that is there: nothing may be looked up or replaced. Hashes are checked where the index has them.
_INSTALL = f"""
set -eu
cd "$1"
[ ! -f SHA256SUMS ] || sha256sum --quiet --check SHA256SUMS
{TOOLS}/bin/uv pip install --quiet --no-cache --link-mode copy --python {PREFIX} --no-index --no-deps ./*.whl
"""


def build(
    site: Site, spec: PygSpec, torch: dagger.Container, compiled: dagger.Directory | None
) -> dagger.Container:
    """Install torch-geometric, then each extension from where the plan says."""
    container = install(torch, site, spec.install)
    if spec.wheels:
        fetched = dag.directory()
        for wheel in spec.wheels:
            fetched = fetched.with_file(wheel.filename, site.download(wheel.address))
        sums = "".join(f"{wheel.sha256}  {wheel.filename}\n" for wheel in spec.wheels if wheel.sha256)
        container = _with_wheels(
            container, _FETCHED, fetched.with_new_file("SHA256SUMS", sums) if sums else fetched
        )
    return _with_wheels(container, _COMPILED, compiled) if compiled else container


def _with_wheels(container: dagger.Container, path: str, wheels: dagger.Directory) -> dagger.Container:
    mounted = container.with_mounted_directory(path, wheels)
    return mounted.with_exec(["sh", "-c", _INSTALL, "install", path]).without_mount(path)
