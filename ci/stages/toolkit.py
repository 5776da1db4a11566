"""Make the CUDA toolkit's tree."""

import dagger

from ci.plan.externals import COMPILER, PACKAGES
from ci.plan.stages.toolkit import DEBS, PROGRAM, ToolkitSpec, make_toolkit_command
from ci.plan.system import UPDATE_LISTS
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.programs import with_program
from ci.stages.system import make_base_with_packages
from ci.stages.texts import make_text_file
from ci.stages.tools import install_tools

_LOCK = "/run/toolkit.txt"
_OUT = "/opt/toolkit"
_DEB = "/run/compiler.deb"


def build(stages: ImageStages, context: BuildContext) -> dagger.Directory:
    """Make the toolkit's tree, the same for devel and runtime images."""
    spec = stages.plan.spec("toolkit", ToolkitSpec)
    container = install_tools(context, make_base_with_packages(context, spec.image, DEBS), spec.tools)
    container = context.with_package_index(with_program(container, PROGRAM), PACKAGES)
    if spec.locked:
        lock = make_text_file("toolkit.txt", spec.locked)
        container = container.with_mounted_file(_LOCK, lock)
    if deb := context.bundled_file(COMPILER):
        container = container.with_mounted_file(_DEB, deb)
        return context.run(container, make_toolkit_command(spec, _LOCK, _OUT, _DEB)).directory(_OUT)
    container = context.run(container, UPDATE_LISTS) if spec.deb else container
    return context.run(container, make_toolkit_command(spec, _LOCK, _OUT)).directory(_OUT)
