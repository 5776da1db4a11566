"""The devel base: compilers, the CUDA toolkit, and the tools that make environments at /opt/tools."""

import dagger

from ci.plan.commands import TOOLS
from ci.plan.specs import CUDA_HOME, BaseSpec
from ci.stages import account
from ci.stages import system as apt
from ci.stages.context import BuildContext, program
from ci.stages.tools import with_tools


def build(context: BuildContext, spec: BaseSpec, toolkit: dagger.Directory | None) -> dagger.Container:
    """Compose the devel base."""
    container = apt.on(spec.image, context, spec.apt)
    container = account.add(context, container, spec.account)
    container = with_conda_env(with_tools(container, context, spec.tools))
    return container.with_directory(CUDA_HOME, toolkit) if toolkit else container


def with_conda_env(container: dagger.Container) -> dagger.Container:
    """Give people `conda-env create|install|list`, which needs no conda: the program that makes the environment."""
    container = container.with_file(f"{TOOLS}/lib/make_env.py", program("make_env.py"))
    return container.with_file(f"{TOOLS}/bin/conda-env", program("conda_env.sh"), permissions=0o755)
