"""The CUDA toolkit, trimmed to what compiles extensions: nvcc, headers, the CUDA runtime library."""

import dagger
from dagger import dag

from ci.plan.commands import REFRESH, TOOLKIT_DEBS, make_toolkit
from ci.plan.externals import COMPILER, PACKAGES
from ci.plan.specs import ToolkitSpec
from ci.stages import system as apt
from ci.stages.context import BuildContext, with_program
from ci.stages.tools import with_tools

_LOCK = "/run/toolkit.txt"
_OUT = "/opt/toolkit"
_DEB = "/run/compiler.deb"


def build(context: BuildContext, spec: ToolkitSpec) -> dagger.Directory:
    """Make the toolkit's tree, the same for devel and runtime images."""
    container = apt.on(spec.image, context, TOOLKIT_DEBS)
    container = context.with_package_index(
        with_program(with_tools(container, context, spec.tools), "cuda_home.py"), PACKAGES
    )
    if spec.locked:
        lock = dag.directory().with_new_file("toolkit.txt", spec.locked).file("toolkit.txt")
        container = container.with_mounted_file(_LOCK, lock)
    if deb := context.bundled_file(COMPILER):
        container = container.with_mounted_file(_DEB, deb)
        return context.run(container, make_toolkit(spec, _LOCK, _OUT, _DEB)).directory(_OUT)
    container = context.run(container, REFRESH) if spec.deb else container
    return context.run(container, make_toolkit(spec, _LOCK, _OUT)).directory(_OUT)
