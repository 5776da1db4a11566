"""Mount the programs of ci/programs in containers, with all files that each needs."""

import hashlib
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import dagger
from dagger import dag

from ci.plan.programs import PROGRAMS, mounted_names, mounted_path
from ci.sdk.ids import remember_files, remember_id

_PROGRAMS = Path(__file__).parents[1] / "programs"
_COPY = Path("programs")  # below the folder in which Dagger runs the module


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
    """Copy the programs to the module's own folder, below a digest of them, and return the copy.

    `current_module().source()` has the same files, but an engine (0.19.10) may answer with another client's folder on
    its own host: where two checkouts of the same content are used at once, the second fails when the first one's call
    ends ("failed to get content hash … no such file or directory").
    """
    # With a digest in it, a path has the same files in each call that an engine serves at once.
    folder = _COPY / _hash_folder(_PROGRAMS)
    shutil.copytree(_PROGRAMS, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    return dag.current_module().workdir(str(folder))


def _hash_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]
