"""Digest the source files behind each stage, so that a change of the code is a change of the stage."""

import hashlib
from collections.abc import Mapping
from importlib import resources

from ci.plan.programs import PROGRAMS
from ci.plan.stages import STAGES


def list_sources(name: str) -> tuple[str, ...]:
    """Return the files below `ci` that carry out a stage; a change of anything else leaves the images as they are."""
    definition = STAGES[name]
    programs = [f"programs/{file}" for program in definition.programs for file in PROGRAMS[program]]
    return tuple(dict.fromkeys([*definition.sources, *programs]))


def read_code() -> dict[str, str]:
    """Read the source files of all stages, by their paths below `ci`."""
    root = resources.files("ci")
    names = {file for name in STAGES for file in list_sources(name)}
    return {name: root.joinpath(name).read_text("utf-8") for name in sorted(names)}


def digest_code(texts: Mapping[str, str]) -> dict[str, str]:
    """Return for each stage the SHA-256 of the texts of its files."""
    digests = {name: hashlib.sha256(text.encode()).digest() for name, text in texts.items()}
    return {
        name: hashlib.sha256(b"".join(digests[file] for file in list_sources(name))).hexdigest()
        for name in STAGES
    }
