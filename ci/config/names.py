"""Define the names and texts that stand in tags, stages, files and messages: targets, variants, repositories, notes."""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from ci.util.model import accepts

_LONGEST_LINE = 400  # characters of a note
# Names that the stages of a Dockerfile and the groups of the bake file have already.
_STAGES = (
    *(
        "base",
        "conda",
        "channel",
        "interpreter",
        "toolkit",
        "runtime-base",
        "wheels",
        "torch",
        "fetched",
        "pyg",
    ),
    *("video", "ray", "marimo", "pack", "packed", "image", "tools", "system", "scratch"),
)
_RESERVED = re.compile(
    rf"(?:{'|'.join(_STAGES)}|packed-.*|.*-(?:files|added|rest|names)(?:-.*)?|default|phase-[0-9]+)"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # of the OCI distribution specification
MAX_TAG = 128  # characters


def _refuse_reserved(name: str) -> str:
    if _RESERVED.fullmatch(name):
        raise ValueError(
            f"{name} is the name of a stage of the Dockerfiles or of a group of the bake file: choose another"
        )
    return name


def _require_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(
            "has a new line or another character that is not printable; accepted: one line of text"
        )
    return text


def _refuse_registry(name: str) -> str:
    host, slash, _ = name.partition("/")
    if slash and ("." in host or host == "localhost"):
        raise ValueError(
            f"{host} is a registry; accepted: a name on Docker Hub, such as team/image (--repositories names others)"
        )
    return name


TargetName = Annotated[
    str,
    StringConstraints(
        pattern=accepts(
            r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$",
            "small letters, digits and hyphens, at most 40 characters, such as ray-runtime",
        )
    ),
    AfterValidator(_refuse_reserved),
]
VariantName = Annotated[
    str,
    StringConstraints(
        pattern=accepts(
            r"^[a-z]([a-z0-9_-]{0,38}[a-z0-9])?$",
            "small letters, digits, hyphens and underscores, at most 40 characters, such as slim",
        )
    ),
]
# One line, as it can stand in a comment, a terminal and a table.
Line = Annotated[str, StringConstraints(max_length=_LONGEST_LINE), AfterValidator(_require_line)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_require_line)]
HubName = Annotated[
    str,
    StringConstraints(
        pattern=accepts(r"^[a-z0-9]+([._/-][a-z0-9]+)*$", "a name on Docker Hub, such as team/image")
    ),
    AfterValidator(_refuse_registry),
]


def is_tag(text: str) -> bool:
    """Return whether a registry accepts a text as a tag.

    >>> is_tag("ray-runtime-cu128-py313"), is_tag("1!2.0"), is_tag("")
    (True, False, False)
    """
    return bool(_TAG.fullmatch(text))
