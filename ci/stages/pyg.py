"""PyTorch Geometric and its extensions in the environment."""

import dagger
from dagger import dag

from ci.plan.specs import PREFIX, PygSpec
from ci.stages.context import BuildContext
from ci.stages.install import install

_COMPILED = "/run/wheels"
_FETCHED = "/run/fetched"


def build(
    context: BuildContext, spec: PygSpec, torch: dagger.Container, compiled: dagger.Directory | None
) -> dagger.Container:
    """Install torch-geometric, then each extension from where the plan says."""
    container = install(torch, context, spec.install)
    if spec.wheels:
        fetched = dag.directory()
        for wheel in spec.wheels:
            fetched = fetched.with_file(wheel.filename, context.download(wheel.address))
        sums = "".join(f"{wheel.sha256}  {wheel.filename}\n" for wheel in spec.wheels if wheel.sha256)
        fetched = fetched.with_new_file("SHA256SUMS", sums) if sums else fetched
        container = _with_wheels(context, container, _FETCHED, fetched)
    return _with_wheels(context, container, _COMPILED, compiled) if compiled else container


def _with_wheels(
    context: BuildContext, container: dagger.Container, path: str, wheels: dagger.Directory
) -> dagger.Container:
    mounted = container.with_mounted_directory(path, wheels)
    return context.run_program(mounted, "install_wheels.sh", (PREFIX, path)).without_mount(path)
