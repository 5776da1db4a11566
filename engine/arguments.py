"""Which arguments dagger gets: the user's own, and `--sources registries` where the user chose no sources.

`--sources bundle:PATH` is daggerw's: it becomes the sources that the bundle was made of, and `--from-bundle PATH`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from engine.bundle import read_manifest
from engine.paths import PROJECT

SOURCES = "registries"
BUNDLE = "bundle:"
# Dagger's global options that take a value, which is not the subcommand.
OPTIONS_WITH_VALUE = {
    "--allow-llm",
    "-c",
    "--command",
    "--interactive-command",
    "-m",
    "--mod",
    "--model",
    "--progress",
}


def complete_arguments(arguments: Sequence[str], folder: Path) -> tuple[list[str], bool]:
    """The arguments with the embedded engine's sources put in, and whether they were."""
    position = _find_subcommand(arguments)
    if (
        position is None
        or arguments[position] != "call"
        or _has_sources(arguments)
        or not _loads_this_project(arguments, folder)
    ):
        return list(arguments), False
    return [*arguments[: position + 1], "--sources", SOURCES, *arguments[position + 1 :]], True


def split_bundle_option(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """The arguments with a bundle among the sources as the module takes it, and the bundle, if there is one.

    >>> unbundled(["call", "cells"])
    (['call', 'cells'], None)
    """
    for i, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        after = i + 1
        if option == "--sources" and not equals:
            value, after = "".join(arguments[after : after + 1]), after + 1
        if option == "--sources" and value.startswith(BUNDLE):
            folder = Path(value.removeprefix(BUNDLE))
            options = ["--sources", read_manifest(folder).sources, "--from-bundle", str(folder)]
            return [*arguments[:i], *options, *arguments[after:]], folder
    return list(arguments), None


def _find_subcommand(arguments: Sequence[str]) -> int | None:
    skip = False
    for i, argument in enumerate(arguments):
        if skip:
            skip = False
        elif argument in OPTIONS_WITH_VALUE:
            skip = True
        elif not argument.startswith("-"):
            return i
    return None


def _has_sources(arguments: Sequence[str]) -> bool:
    return any(argument.split("=")[0] == "--sources" for argument in arguments)


def _loads_this_project(arguments: Sequence[str], folder: Path) -> bool:
    """Whether the module that dagger will load is this project's: no other needs to know these sources."""
    module = _find_module(arguments)
    start = folder / module if module else folder
    for candidate in [start, *start.parents]:
        if (candidate / "dagger.json").exists():
            return _read_module_name(candidate) == _read_module_name(PROJECT)
    return False


def _find_module(arguments: Sequence[str]) -> str | None:
    for i, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option in {"-m", "--mod"}:
            return value if equals else "".join(arguments[i + 1 : i + 2])
    return None


def _read_module_name(folder: Path) -> object:
    try:
        return json.loads((folder / "dagger.json").read_text()).get("name")
    except (OSError, ValueError):
        return None
