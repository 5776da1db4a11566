"""The tools that make environments, at /opt/tools: py-rattler, conda-pack and uv, apart from any environment."""

import dagger
from dagger import dag

from ci.plan.commands import TOOLS
from ci.plan.externals import TOOLS as NEED
from ci.stages.context import BuildContext


def with_tools(container: dagger.Container, context: BuildContext, requirements: str) -> dagger.Container:
    """Install py-rattler, conda-pack and uv from their lock, apart from any environment."""
    lock = dag.directory().with_new_file("tools.txt", requirements).file("tools.txt")
    container = context.with_package_index(container, NEED).with_mounted_file("/run/tools.txt", lock)
    container = context.run_program(container, "install_tools.sh", (TOOLS, "/run/tools.txt"))
    return context.without_network(container.without_mount("/run/tools.txt"))
