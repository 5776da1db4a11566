"""Compose the runtime base; the CUDA libraries come with torch's wheels, so it has none of its own."""

from typing import TYPE_CHECKING

import dagger

from ci.plan.paths import CUDA_HOME
from ci.plan.stages.runtime_base import RuntimeBaseSpec
from ci.stages.context import BuildContext
from ci.stages.system import add_user, base_with_packages

if TYPE_CHECKING:
    from ci.stages.builder import ImageBuilder


def build(builder: "ImageBuilder", context: BuildContext) -> dagger.Container:
    """Compose the runtime base."""
    spec = builder.plan.spec("runtime-base", RuntimeBaseSpec)
    container = add_user(context, base_with_packages(context, spec.image, spec.apt), spec.account)
    toolkit = builder.directory("toolkit") if spec.adds_toolkit else None
    return container.with_directory(CUDA_HOME, toolkit) if toolkit else container
