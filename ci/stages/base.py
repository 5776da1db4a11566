"""Compose the devel base: compilers, the CUDA toolkit, and the tools that make environments."""

import dagger

from ci.plan.paths import CUDA_HOME
from ci.plan.stages.base import CONDA_ENV, BaseSpec
from ci.plan.system import COPY_PACKAGES
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.programs import program_file
from ci.stages.system import add_user, make_base_with_packages
from ci.stages.tools import install_tools


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Compose the devel base."""
    spec = stages.plan.spec("base", BaseSpec)
    container = add_user(context, make_base_with_packages(context, spec.image, spec.apt), spec.account)
    container = install_tools(context, container, spec.tools)
    for program, path in {**CONDA_ENV, **COPY_PACKAGES}.items():
        mode = 0o755 if program.endswith(".sh") else None
        container = container.with_file(path, program_file(program), permissions=mode)
    toolkit = stages.directory("toolkit") if spec.adds_toolkit else None
    return container.with_directory(CUDA_HOME, toolkit) if toolkit else container
