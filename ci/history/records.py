"""Define the record of one build attempt, as it is written to a history file."""

import json
import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AliasChoices, Field

from ci.util.model import FrozenModel

# Version 2 renamed the key `promises` to `checks`. Version 3 has `checked_in`, among the stages the steps that
# follow them, without a digest, and the `objects` of a compilation. A reader of an earlier
# version keeps lines of a later one unread.
SCHEMA: Final = 3

Status = Literal["not-run", "building", "ok", "warning", "failed"]
FailureKind = Literal[
    "network",
    "missing-wheel",
    "hash-mismatch",
    "out-of-memory",
    "disk-full",
    "compile-error",
    "crash",
    "verification",
    "engine-gone",
    "interrupted",
    "gate",
    "registry",
    "bug",
    "unknown",
]

_SURROGATE = re.compile("[\ud800-\udfff]")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?Z", re.ASCII)


def _replace_surrogates(text: str) -> str:
    # Python decodes a byte that is not UTF-8 to half of a UTF-16 pair, which cannot be encoded again.
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _check_moment(text: str) -> str:
    match = _MOMENT.fullmatch(text)
    if not match:
        raise ValueError("not a moment in UTC like 2026-11-22T02:00:00Z")
    try:
        date.fromisoformat(match[1])
    except ValueError:
        raise ValueError("no such day") from None
    return text


Text = Annotated[str, AfterValidator(_replace_surrogates)]
Moment = Annotated[str, AfterValidator(_check_moment)]
Bytes = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]


class Failure(FrozenModel):
    """Why an attempt failed: kind, stage, and the last lines that the step printed."""

    kind: FailureKind
    stage: Text
    message: Text
    command: Text = ""
    exit_code: int | None = None
    tail: tuple[Text, ...] = ()


class CompiledObjects(FrozenModel):
    """How many objects were compiled with narrow headers, and how many with torch's own.

    `cached` of them came from ccache. The numbers are of the build of the stage, also where the engine has it cached.
    """

    narrow: Number
    full: Number
    cached: Number = 0


class StageRun(FrozenModel):
    """One stage of an attempt: its digest and its wall time in seconds.

    The steps that follow the stages of an image are here too, without a digest: `verify`, `measure`, `publish`.
    `shared_with` is the cell that built the stage, if another one did. `jobs` and `tried` describe the stage's attempt
    that succeeded: its number of compile jobs, if it was not the default, and the number of the try. `objects` counts
    what a compilation compiled; other stages, and records that are older, have none.
    """

    name: Text
    digest: Text = ""
    seconds: Seconds
    shared_with: Text = ""
    jobs: Count | None = None
    tried: Count = 1
    objects: CompiledObjects | None = None


class LayerSize(FrozenModel):
    """The size of one layer of an image, in bytes; `name` is the stage that made it.

    Layers of two images with the same `key` are the same layer.
    """

    name: Text
    size: Bytes
    key: Text = ""
    compressed: Bytes | None = None


class NamedSize(FrozenModel):
    """The bytes on disk of one package, kind of file, part of ELF files or GPU architecture."""

    name: Text
    size: Bytes


class ImageFacts(FrozenModel):
    """Everything that was found out about a finished image.

    `size` is its size on disk and `compressed` its size in a registry, both in bytes. `versions` were read from the
    image, not from the plan. `checks` maps each check to whether it passed, `checked_in` those that ran in another
    image, which this one only adds layers to, to that image's name.
    """

    size: Bytes | None = None
    compressed: Bytes | None = None
    layers: tuple[LayerSize, ...] = ()
    packages: tuple[NamedSize, ...] = ()
    kinds: tuple[NamedSize, ...] = ()
    elf: tuple[NamedSize, ...] = ()
    archs: tuple[NamedSize, ...] = ()
    digest: Text = ""
    published: tuple[Text, ...] = ()
    versions: dict[Text, Text] = Field(default_factory=dict)
    checks: dict[Text, bool] = Field(
        default_factory=dict, validation_alias=AliasChoices("checks", "promises")
    )
    checked_in: dict[Text, Text] = Field(default_factory=dict)
    notes: tuple[Text, ...] = ()


class BuildRecord(ImageFacts):
    """One attempt at one cell.

    `started` is UTC in ISO 8601 (`2026-11-22T02:00:00Z`), `seconds` the wall time. Run, cell and attempt identify
    the attempt: the record of its start (`building`) and the record of its end have the same ones.
    """

    # Older schemas are read, and become records of this one, so that a record read twice is equal to itself.
    schema_: Annotated[Literal[1, 2, 3], AfterValidator(lambda _: SCHEMA)] = Field(
        default=SCHEMA, alias="schema"
    )
    run: Text
    cell: Text
    attempt: Count = 1
    plan: Text
    sources: Text
    status: Status
    started: Moment
    seconds: Seconds | None = None
    stages: tuple[StageRun, ...] = ()
    failure: Failure | None = None

    @property
    def finished(self) -> bool:
        """Return whether the attempt has ended."""
        return self.status in ("ok", "warning", "failed")

    @property
    def key(self) -> tuple[str, str, int]:
        """Return what identifies the attempt: its run, its cell and its number."""
        return self.run, self.cell, self.attempt

    def line(self) -> str:
        """Return the record as one line of a history file, including the newline.

        The line is ASCII, so that it can be cut at any byte and still be read as UTF-8, and so that no character in
        the output of a step can be mistaken for the end of the line.
        """
        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"schema": SCHEMA}
        return json.dumps(data, sort_keys=True) + "\n"


def unique_size(records: Iterable[BuildRecord]) -> int:
    """Return the bytes of all images with shared layers counted once.

    An image with a layer of unknown key counts with its whole size.
    """
    layer_sizes: dict[str, int] = {}
    whole_images = 0
    for record in records:
        if record.layers and all(layer.key for layer in record.layers):
            layer_sizes |= {layer.key: layer.size for layer in record.layers}
        else:
            whole_images += record.size or 0
    return whole_images + sum(layer_sizes.values())
