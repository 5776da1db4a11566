"""Texts as a folder that the caller can export."""

from collections.abc import Mapping

import dagger
from dagger import dag


def folder(files: Mapping[str, str]) -> dagger.Directory:
    """Return a folder of text files, by their paths in it."""
    made = dag.directory()
    for name, text in files.items():
        made = made.with_new_file(name, text)
    return made
