"""Symbols out of shared libraries: only when asked, and undone for each file that it would break."""

import dagger

from ci.specs import PREFIX
from ci.stages.base import TOOLS
from ci.stages.site import PROGRAMS, with_program

_ROOT = "/opt/stripped"


def build(base: dagger.Container, tree: dagger.Directory) -> dagger.Directory:
    """Strip a tree of the environment; `base` has binutils and the tools."""
    container = with_program(base, "strip_libs.py").with_directory(_ROOT, tree)
    command = [f"{TOOLS}/bin/python", f"{PROGRAMS}/strip_libs.py", _ROOT]
    return container.with_exec(command).directory(_ROOT)


def image(base: dagger.Container, container: dagger.Container) -> dagger.Container:
    """Strip the environment of any image that keeps it at the prefix."""
    return container.with_directory(PREFIX, build(base, container.directory(PREFIX)))
