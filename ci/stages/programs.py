"""Mount the programs of ci/programs in containers, with all files that each needs."""

from functools import cache

import dagger
from dagger import dag

from ci.plan.programs import PROGRAMS, mounted_path


def with_program(container: dagger.Container, name: str) -> dagger.Container:
    """Mount a program, or a folder of programs."""
    if "." not in name:
        return container.with_mounted_directory(mounted_path(name), _folder(name))
    for file in PROGRAMS[name]:
        container = container.with_mounted_file(mounted_path(file), program_file(file))
    return container


def without_program(container: dagger.Container, name: str) -> dagger.Container:
    """Unmount a program, so that it does not show in what is built on top."""
    for file in PROGRAMS[name] if "." in name else (name,):
        container = container.without_mount(mounted_path(file))
    return container


@cache  # the engine is asked for the id of an object once
def program_file(name: str) -> dagger.File:
    """Return a file of ci/programs."""
    return _programs().file(name)


@cache
def _folder(name: str) -> dagger.Directory:
    return _programs().directory(name)


@cache
def _programs() -> dagger.Directory:
    return dag.current_module().source().directory("ci/programs")
