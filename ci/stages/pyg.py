"""Install PyTorch Geometric and its extensions into the environment."""

import dagger
from dagger import dag

from ci.plan.stages.pyg import PygSpec
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.install import install, install_wheels
from ci.stages.texts import make_text_file

_COMPILED = "/run/wheels"
_FETCHED = "/run/fetched"


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Install torch-geometric, then the extensions that have a wheel, then those that are compiled."""
    spec = stages.plan.spec("pyg", PygSpec)
    container = install(context, stages.container("torch"), spec.install)
    if spec.wheels:
        container = install_wheels(context, container, _FETCHED, _fetch_wheels(context, spec))
    compiled = stages.directory("wheels")
    return install_wheels(context, container, _COMPILED, compiled) if compiled else container


def _fetch_wheels(context: BuildContext, spec: PygSpec) -> dagger.Directory:
    fetched = dag.directory()
    for wheel in spec.wheels:
        fetched = fetched.with_file(wheel.filename, context.download(wheel.address))
    sums = "".join(f"{wheel.sha256}  {wheel.filename}\n" for wheel in spec.wheels if wheel.sha256)
    return fetched.with_file("SHA256SUMS", make_text_file("SHA256SUMS", sums)) if sums else fetched
