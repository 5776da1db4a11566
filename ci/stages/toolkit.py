"""Make the CUDA toolkit's tree."""

from typing import TYPE_CHECKING

import dagger
from dagger import dag

from ci.plan.externals import COMPILER, PACKAGES
from ci.plan.stages.toolkit import DEBS, PROGRAM, ToolkitSpec, make_toolkit_command
from ci.plan.system import UPDATE_LISTS
from ci.stages.context import BuildContext
from ci.stages.programs import with_program
from ci.stages.system import base_with_packages
from ci.stages.tools import install_tools

if TYPE_CHECKING:
    from ci.stages.builder import ImageBuilder

_LOCK = "/run/toolkit.txt"
_OUT = "/opt/toolkit"
_DEB = "/run/compiler.deb"


def build(builder: "ImageBuilder", context: BuildContext) -> dagger.Directory:
    """Make the toolkit's tree, the same for devel and runtime images."""
    spec = builder.plan.spec("toolkit", ToolkitSpec)
    container = install_tools(context, base_with_packages(context, spec.image, DEBS), spec.tools)
    container = context.with_package_index(with_program(container, PROGRAM), PACKAGES)
    if spec.locked:
        lock = dag.directory().with_new_file("toolkit.txt", spec.locked).file("toolkit.txt")
        container = container.with_mounted_file(_LOCK, lock)
    if deb := context.bundled_file(COMPILER):
        container = container.with_mounted_file(_DEB, deb)
        return context.run(container, make_toolkit_command(spec, _LOCK, _OUT, _DEB)).directory(_OUT)
    container = context.run(container, UPDATE_LISTS) if spec.deb else container
    return context.run(container, make_toolkit_command(spec, _LOCK, _OUT)).directory(_OUT)
