"""Compose the runtime base; the CUDA libraries come with torch's wheels, so it has none of its own."""

import dagger

from ci.plan.paths import CUDA_HOME
from ci.plan.stages.runtime_base import RuntimeBaseSpec
from ci.plan.system import COPY_PACKAGES
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.programs import program_file
from ci.stages.system import add_user, make_base_with_packages


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Compose the runtime base."""
    spec = stages.plan.spec("runtime-base", RuntimeBaseSpec)
    container = add_user(context, make_base_with_packages(context, spec.image, spec.apt), spec.account)
    for program, path in COPY_PACKAGES.items():
        container = container.with_file(path, program_file(program), permissions=0o755)
    toolkit = stages.directory("toolkit") if spec.adds_toolkit else None
    return container.with_directory(CUDA_HOME, toolkit) if toolkit else container
