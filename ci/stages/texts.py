"""Hand texts to steps as files: Dagger's log prints each argument of a call, and a text may have 100 kB."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import dagger
from dagger import dag

from ci.sdk.ids import remember_id

_SHORT = 200  # characters that may be an argument
_FOLDER = Path("texts")  # below the folder in which Dagger runs the module


def make_text_file(name: str, text: str) -> dagger.File:
    """Return a file of a text. Its place does not matter to a step, only its name and its content do.

    A long text is written to the module's own folder, below a digest of it, and Dagger reads it there.
    """
    if len(text) <= _SHORT:
        return dag.directory().with_new_file(name, text).file(name)
    return _written_file(name, text)


def make_text_directory(files: Mapping[str, str]) -> dagger.Directory:
    """Return a folder of text files, by their paths in it."""
    directory = dag.directory()
    for name, text in files.items():
        if len(text) <= _SHORT:
            directory = directory.with_new_file(name, text)
        else:
            directory = directory.with_file(name, make_text_file(Path(name).name, text))
    return directory


@cache
def _written_file(name: str, text: str) -> dagger.File:
    # The path has a digest of the content, because Dagger reads a path once in a call.
    path = _FOLDER / hashlib.sha256(text.encode()).hexdigest()[:32] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return remember_id(dag.current_module().workdir_file(str(path)))
