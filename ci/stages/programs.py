"""Mount the programs of ci/programs in containers, with all files that each needs."""

from collections.abc import Mapping
from functools import cache

import dagger
from dagger import dag

from ci.plan.programs import PROGRAMS, mounted_names, mounted_path
from ci.sdk.ids import remember_files, remember_id


def with_program(container: dagger.Container, name: str) -> dagger.Container:
    """Mount a program, or a folder of programs."""
    for path in mounted_names(name):
        if "." in path:
            container = container.with_mounted_file(mounted_path(path), program_file(path))
        else:
            container = container.with_mounted_directory(mounted_path(path), _folder(path))
    return container


def without_program(container: dagger.Container, name: str) -> dagger.Container:
    """Unmount a program, so that it does not show in what is built on top."""
    for path in mounted_names(name):
        container = container.without_mount(mounted_path(path))
    return container


def program_file(name: str) -> dagger.File:
    """Return a file of ci/programs."""
    return _files()[name]


@cache
def _files() -> Mapping[str, dagger.File]:
    paths = (path for name in PROGRAMS for path in mounted_names(name))
    return remember_files(_programs(), sorted({path for path in paths if "." in path}))


@cache
def _folder(name: str) -> dagger.Directory:
    return remember_id(_programs().directory(name))


@cache
def _programs() -> dagger.Directory:
    return dag.current_module().source().directory("ci/programs")
