"""Install the tools that make environments at /opt/tools: py-rattler, conda-pack and uv."""

import dagger

from ci.plan.externals import TOOLS as TOOLS_INPUT
from ci.plan.paths import TOOLS
from ci.plan.system import TOOLS_PROGRAM
from ci.stages.context import BuildContext
from ci.stages.texts import make_text_file

_LOCK = "/run/tools.txt"


def install_tools(context: BuildContext, container: dagger.Container, requirements: str) -> dagger.Container:
    """Install the tools from the lines of their lock, apart from any environment."""
    lock = make_text_file("tools.txt", requirements)
    container = context.with_package_index(container, TOOLS_INPUT).with_mounted_file(_LOCK, lock)
    container = context.run_program(container, TOOLS_PROGRAM, (TOOLS, _LOCK))
    return context.without_network(container.without_mount(_LOCK))
