"""Translate daggerw's arguments into dagger's.

A call without `--sources` gets `--sources registries`. `--sources bundle:PATH`, which only daggerw knows, becomes the
sources that the bundle was made from and `--from-bundle PATH`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from engine.bundle import read_manifest
from engine.paths import PROJECT

SOURCES = "registries"
BUNDLE = "bundle:"
# Dagger's global options that take a value: the argument after them is not the subcommand.
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
    """Add `--sources registries` if needed; return the arguments and whether it was added.

    It is added to calls of this project's module that name no sources.
    """
    position = _find_subcommand(arguments)
    if position is None or _has_sources(arguments) or not is_call(arguments, folder):
        return list(arguments), False
    return [*arguments[: position + 1], "--sources", SOURCES, *arguments[position + 1 :]], True


def is_call(arguments: Sequence[str], folder: Path) -> bool:
    """Return whether the arguments call a function of this project's module."""
    position = _find_subcommand(arguments)
    return position is not None and arguments[position] == "call" and _loads_this_project(arguments, folder)


def split_bundle_option(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """Replace `--sources bundle:PATH`; return the arguments and the bundle's folder, if any.

    >>> split_bundle_option(["call", "cells"])
    (['call', 'cells'], None)

    Raises:
        EngineError: The folder is not a bundle.
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
    """Return the index of dagger's subcommand, or None if there is none."""
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
    """Return whether `--sources` is given."""
    return any(argument.split("=")[0] == "--sources" for argument in arguments)


def _loads_this_project(arguments: Sequence[str], folder: Path) -> bool:
    """Return whether dagger will load this project's module; others may not know these sources."""
    module = _find_module(arguments)
    start = folder / module if module else folder
    for candidate in [start, *start.parents]:
        if (candidate / "dagger.json").exists():
            return _read_module_name(candidate) == _read_module_name(PROJECT)
    return False


def _find_module(arguments: Sequence[str]) -> str | None:
    """Return the value of dagger's `--mod`, or None."""
    for i, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option in {"-m", "--mod"}:
            return value if equals else "".join(arguments[i + 1 : i + 2])
    return None


def _read_module_name(folder: Path) -> object:
    """Read a module's name from its dagger.json; return None if that is not possible."""
    try:
        return json.loads((folder / "dagger.json").read_text()).get("name")
    except (OSError, ValueError):
        return None
