"""Compose the devel base: compilers, the CUDA toolkit, and the tools that make environments."""

from typing import TYPE_CHECKING

import dagger

from ci.plan.paths import CUDA_HOME
from ci.plan.stages.base import CONDA_ENV, BaseSpec
from ci.stages.context import BuildContext
from ci.stages.programs import program_file
from ci.stages.system import add_user, base_with_packages
from ci.stages.tools import install_tools

if TYPE_CHECKING:
    from ci.stages.builder import ImageBuilder


def build(builder: "ImageBuilder", context: BuildContext) -> dagger.Container:
    """Compose the devel base."""
    spec = builder.plan.spec("base", BaseSpec)
    container = add_user(context, base_with_packages(context, spec.image, spec.apt), spec.account)
    container = install_tools(context, container, spec.tools)
    for program, path in CONDA_ENV.items():
        mode = 0o755 if program.endswith(".sh") else None
        container = container.with_file(path, program_file(program), permissions=mode)
    toolkit = builder.directory("toolkit") if spec.adds_toolkit else None
    return container.with_directory(CUDA_HOME, toolkit) if toolkit else container
