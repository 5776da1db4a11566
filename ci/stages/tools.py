"""The tools that make environments, at /opt/tools: py-rattler, conda-pack and uv, apart from any environment."""

import dagger
from dagger import dag

from ci.plan.commands import TOOLS
from ci.plan.externals import TOOLS as NEED
from ci.stages.context import BuildContext


def with_tools(container: dagger.Container, site: BuildContext, requirements: str) -> dagger.Container:
    """Install py-rattler, conda-pack and uv from their lock, apart from any environment."""
    lock = dag.directory().with_new_file("tools.txt", requirements).file("tools.txt")
    container = site.online(container, NEED).with_mounted_file("/run/tools.txt", lock)
    container = site.run_program(container, "install_tools.sh", (TOOLS, "/run/tools.txt"))
    return site.offline(container.without_mount("/run/tools.txt"))
