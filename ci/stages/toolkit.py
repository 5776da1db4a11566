"""The CUDA toolkit, trimmed to what compiles extensions: nvcc, headers, the CUDA runtime library."""

import dagger

from ci.specs import CUDA_HOME, ToolkitSpec
from ci.stages import apt
from ci.stages.base import TOOLS, with_tools
from ci.stages.site import PROGRAMS, Site, with_program

_APT = ("build-essential", "ca-certificates", "dpkg-dev", "python3", "python3-venv")
_OUT = "/opt/toolkit"


def build(site: Site, spec: ToolkitSpec) -> dagger.Directory:
    """Make the toolkit's tree, the same for devel and runtime images."""
    container = apt.on(spec.image, site, _APT)
    container = with_program(with_tools(container, site, spec.tools), "cuda_home.py")
    command = [f"{TOOLS}/bin/python", f"{PROGRAMS}/cuda_home.py", _OUT, "--check"]
    if spec.provider == "image":
        command += ["--installed", CUDA_HOME]
    for requirement in spec.wheels:
        command += ["--requirement", requirement]
    if spec.deb:
        command += ["--compiler", f"{spec.deb.package}={spec.deb.version}", "--sha256", spec.deb.sha256]
        command += ["--suite", spec.deb.suite, "--components", spec.deb.component]
    container = site.online(container)
    return (apt.refreshed(container) if spec.deb else container).with_exec(command).directory(_OUT)
