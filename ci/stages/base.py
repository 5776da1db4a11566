"""The devel base: compilers, the CUDA toolkit, and the tools that make environments at /opt/tools."""

import dagger
from dagger import dag

from ci.specs import CUDA_HOME, BaseSpec
from ci.stages import account, apt
from ci.stages.site import Site, program

TOOLS = "/opt/tools"

# Of an index that does not answer pip says only that it has no such package; its log says why.
_PIP = f"""
{TOOLS}/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-compile --log /run/pip.log \\
    --require-hashes -r /run/tools.txt || {{ grep -o 'Could not fetch URL .*' /run/pip.log >&2; exit 1; }}
rm /run/pip.log
"""


def build(site: Site, spec: BaseSpec, toolkit: dagger.Directory | None) -> dagger.Container:
    """Compose the devel base."""
    container = apt.on(spec.image, site, spec.apt)
    container = account.add(container, spec.account)
    container = with_conda_env(with_tools(container, site, spec.tools))
    return container.with_directory(CUDA_HOME, toolkit) if toolkit else container


def with_conda_env(container: dagger.Container) -> dagger.Container:
    """Give people `conda-env create|install|list`, which needs no conda: the program that makes the environment."""
    command = f'#!/bin/sh\nexec {TOOLS}/bin/python {TOOLS}/lib/make_env.py "$@"\n'
    container = container.with_file(f"{TOOLS}/lib/make_env.py", program("make_env.py"))
    return container.with_new_file(f"{TOOLS}/bin/conda-env", command, permissions=0o755)


def with_tools(container: dagger.Container, site: Site, requirements: str) -> dagger.Container:
    """Install py-rattler, conda-pack and uv from their lock, apart from any environment."""
    lock = dag.directory().with_new_file("tools.txt", requirements).file("tools.txt")
    container = site.online(container).with_mounted_file("/run/tools.txt", lock)
    container = container.with_exec(["python3", "-m", "venv", TOOLS]).with_exec(["sh", "-c", _PIP])
    return site.offline(container.without_mount("/run/tools.txt"))
