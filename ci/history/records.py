"""What happened to a cell: a record for each try, and the history that they are appended to.

A history is JSON Lines: one record a line, oldest first. A crash in the middle of a write leaves at most one broken
line; such a line is counted and passed over, never a reason to lose the others.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError

from ci.plan.attempt import StageAttempt
from ci.util.model import FrozenModel, format_validation_error, freeze_lists

SCHEMA: Final = 1

Status = Literal["not-run", "building", "ok", "warning", "failed"]
Kind = Literal[
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

_LONE = re.compile("[\ud800-\udfff]")
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?Z", re.ASCII)
_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _encodable(text: str) -> str:
    # Half a UTF-16 pair, as it stands for a byte that was no UTF-8: no file and no terminal takes it.
    return text if text.isascii() else _LONE.sub("\ufffd", text)


def _moment(text: str) -> str:
    found = _MOMENT.fullmatch(text)
    if not found:
        raise ValueError("not a moment in UTC like 2026-11-22T02:00:00Z")
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not year or not 1 <= month <= 12 or not 1 <= day <= _MONTHS[month - 1] - (month == 2 and not leap):
        raise ValueError("no such day")
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Moment = Annotated[str, AfterValidator(_moment)]
Bytes = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Failure(FrozenModel):
    """Why a try failed: the kind, the stage, and what the failed step said at its end."""

    kind: Kind
    stage: Text
    message: Text
    command: Text = ""
    exit_code: int | None = None
    tail: tuple[Text, ...] = ()


class StageRun(FrozenModel):
    """One stage of a try: its digest, the wall time in seconds, and the cell that ran it if another did.

    `jobs` and `tried` are the effort with which it came out, where that was not the usual one.
    """

    name: Text
    digest: Text
    seconds: Seconds
    shared_with: Text = ""
    jobs: Annotated[int, Field(ge=1)] | None = None
    tried: Annotated[int, Field(ge=1)] = 1


class LayerSize(FrozenModel):
    """One layer of an image: the stage that it comes from, its files' bytes, and compressed where that is known.

    Layers of two images with the same `key` are one layer.
    """

    name: Text
    size: Bytes
    key: Text = ""
    compressed: Bytes | None = None


class NamedSize(FrozenModel):
    """The bytes on disk of one package, kind of file, part of ELF files or GPU architecture."""

    name: Text
    size: Bytes


class BuildRecord(FrozenModel):
    """One try at one cell.

    `started` is UTC in ISO 8601 (`2026-11-22T02:00:00Z`), times are seconds, sizes are bytes. `size` is what the
    image takes on disk, `compressed` what a registry holds. `versions` were found in the image, not in the plan.
    Run, cell and attempt name the try: the record of its beginning (`building`) and that of its end have them alike.
    """

    schema_: Literal[1] = Field(default=SCHEMA, alias="schema")
    run: Text
    cell: Text
    attempt: Annotated[int, Field(ge=1)] = 1
    plan: Text
    sources: Text
    status: Status
    started: Moment
    seconds: Seconds | None = None
    stages: tuple[StageRun, ...] = ()
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
    promises: dict[Text, bool] = Field(default_factory=dict)
    notes: tuple[Text, ...] = ()
    failure: Failure | None = None

    @property
    def finished(self) -> bool:
        """Tell whether the try has come to an end."""
        return self.status in ("ok", "warning", "failed")

    @property
    def attempted(self) -> tuple[str, str, int]:
        """Name the try: its run, its cell, and its number."""
        return self.run, self.cell, self.attempt

    def line(self) -> str:
        """Return the record as one line of a history, newline included.

        It is all ASCII: it can be cut at any byte and still be read as UTF-8, and whatever a step printed, no reader
        takes a part of it for the end of the line.
        """
        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"schema": SCHEMA}
        return json.dumps(data, sort_keys=True) + "\n"


@dataclass(frozen=True)
class History:
    """All records, oldest first, and what was wrong with lines that are none.

    `newer` are the lines, without newline, that a later version of this program wrote: they are not understood here,
    and `text` gives them back as they are.
    """

    records: tuple[BuildRecord, ...] = ()
    problems: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the history as a document: each record, then the lines of later versions."""
        return "".join([*(record.line() for record in self.records), *(f"{line}\n" for line in self.newer)])

    def latest(self, cell: str) -> BuildRecord | None:
        """Return the newest record of a cell.

        A try that was recorded as `building` and never came to an end counts only until a later one exists; once it
        has come to an end, the end counts, wherever it stands.
        """
        return next(reversed(self._cells.get(cell, ())), None)

    def last_good(self, cell: str) -> BuildRecord | None:
        """Return the newest record of a cell whose image came out."""
        mine = reversed(self._cells.get(cell, ()))
        return next((record for record in mine if record.status in ("ok", "warning")), None)

    def of(self, cell: str) -> tuple[BuildRecord, ...]:
        """Return the finished tries of a cell, oldest first."""
        return tuple(record for record in self._cells.get(cell, ()) if record.finished)

    def stage_seconds(self) -> Mapping[str, float]:
        """Return the longest time in seconds that each stage digest took; a cached one takes none."""
        found: dict[str, float] = {}
        for record in self.records:
            for stage in record.stages:
                if not stage.shared_with:
                    found[stage.digest] = max(found.get(stage.digest, 0.0), stage.seconds)
        return found

    def attempts(self) -> Mapping[str, StageAttempt]:
        """Return how each stage digest came out last: built so again, the engine has it already."""
        stages = (stage for record in self.records for stage in record.stages)
        return {stage.digest: StageAttempt(stage.jobs, stage.tried) for stage in stages}

    def truthful(self, live: Collection[str] = ()) -> "History":
        """Return the history with each try that can no longer end told as interrupted.

        Only the runs in `live` may still be building.
        """
        told: list[BuildRecord] = []
        for record in self._standing:
            over = record.status == "building" and record.run not in live
            told.append(_interrupted(record) if over else record)
        return History(tuple(told), self.problems, self.newer)

    @cached_property
    def _standing(self) -> tuple[BuildRecord, ...]:
        """The records about whose try no other record says more."""
        ranks = [_rank(record) for record in self.records]
        best: dict[tuple[str, str, int], tuple[int, int]] = {}
        for place, (record, rank) in enumerate(zip(self.records, ranks, strict=True)):
            # Of beginnings the last says most; ends are all kept.
            worth = rank, place if rank == 0 else 0
            best[record.attempted] = max(best.get(record.attempted, worth), worth)
        kept = []
        for place, (record, rank) in enumerate(zip(self.records, ranks, strict=True)):
            worth = rank, place if rank == 0 else 0
            if record.status == "not-run" or worth >= best[record.attempted]:
                kept.append(record)
        return tuple(kept)

    @cached_property
    def _cells(self) -> Mapping[str, list[BuildRecord]]:
        # Reports ask for each cell: looking through all records each time would be quadratic.
        found: dict[str, list[BuildRecord]] = {}
        for record in self._standing:
            found.setdefault(record.cell, []).append(record)
        return found


def unique_size(records: Iterable[BuildRecord]) -> int:
    """Add up the layers of images, in bytes, each once; an image whose layers are not known counts whole."""
    known: dict[str, int] = {}
    whole = 0
    for record in records:
        if record.layers and all(layer.key for layer in record.layers):
            known |= {layer.key: layer.size for layer in record.layers}
        else:
            whole += record.size or 0
    return whole + sum(known.values())


def read_history(text: str, name: str = "history.jsonl") -> History:
    """Read a history; a line that is no record becomes a problem and is passed over.

    Where a crash cut a line and the next record was written right behind it, that record is read.

    >>> read_history("nonsense\\n").problems
    ("history.jsonl line 1: not JSON, passed over: 'nonsense'",)
    """
    records: list[BuildRecord] = []
    problems: list[str] = []
    newer: list[str] = []
    for number, line in _lines(text):
        found = _read(line)
        if isinstance(found, BuildRecord):
            records.append(found)
            continue
        problems.append(f"{name} line {number}: {found}")
        if found.startswith(_NEWER):
            newer.append(line)
        elif found.startswith(_NOT_JSON):
            records.extend(_whole_records(line))
    return History(tuple(records), tuple(problems), tuple(newer))


def merged(*histories: History) -> History:
    """Put histories together: each record once, ordered by their start."""
    lines: dict[str, BuildRecord] = {}
    for history in histories:
        for record in history.records:
            lines.setdefault(record.line(), record)
    # Stable: records of one start keep the order in which they were written.
    ordered = sorted(lines.values(), key=_start)
    problems = dict.fromkeys(problem for history in histories for problem in history.problems)
    newer = dict.fromkeys(line for history in histories for line in history.newer)
    return History(tuple(ordered), tuple(problems), tuple(newer))


_NOT_JSON = "not JSON"
_NEWER = "schema "  # how the words about a record of a later version begin

# How a line that this program wrote begins. Nothing else in one looks like this: quotes in text are escaped.
_BEGINNING = re.compile(r'\{"(?:attempt|cell)": ')
_TRIES = 8  # at places where a whole record could begin in a broken line


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Give each line that is not blank with its number, without a copy of the whole text."""
    start = len(text) - len(text.removeprefix("\ufeff"))  # an editor's mark at the beginning of a file
    number = 1
    while start < len(text):
        # Only a newline ends a record: other line separators may stand in a step's output.
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if line.strip(" \t\r"):
            yield number, line
        start, number = end + 1, number + 1


def _read(line: str) -> BuildRecord | str:
    """Return the record that a line holds, or in words why it holds none."""
    try:
        return BuildRecord.model_validate_json(line)  # many times faster than what follows, and says less
    except ValueError:
        pass
    try:
        return _record(json.loads(line))
    except (ValueError, RecursionError):
        return f"{_NOT_JSON}, passed over: {line[:40]!r}"


def _record(data: Any) -> BuildRecord | str:
    if not isinstance(data, dict):
        return "not a record, passed over"
    schema = data.get("schema", SCHEMA)
    if type(schema) is int and schema > SCHEMA:
        return f"{_NEWER}{str(schema)[:20]} is newer than this version knows, passed over"
    try:
        return BuildRecord.model_validate(freeze_lists(data))
    except ValidationError as error:
        return f"{format_validation_error(error, BuildRecord)}, passed over"


def _whole_records(line: str) -> Iterator[BuildRecord]:
    """Give the whole records in a line that is broken before, between or behind them."""
    decoder = json.JSONDecoder()
    place = failed = 0
    while failed < _TRIES and (beginning := _BEGINNING.search(line, place)):
        try:
            data, end = decoder.raw_decode(line, beginning.start())
            found = _record(data)
        except (ValueError, RecursionError):
            found, end = "", 0
        if isinstance(found, BuildRecord):
            yield found
            place = end
        else:
            place, failed = beginning.end(), failed + 1


def _start(record: BuildRecord) -> tuple[str, str]:
    # Not as text: "00Z" would come after "00.5Z".
    whole, _, part = record.started.removesuffix("Z").partition(".")
    return whole, part.rstrip("0")


def _rank(record: BuildRecord) -> int:
    """Say how much a record tells about its try: that it began, that it was given up, how it ended."""
    if not record.finished:
        return 0
    # Another run may have taken this one for dead.
    return 1 if record.failure and record.failure.kind == "interrupted" else 2


def _interrupted(record: BuildRecord) -> BuildRecord:
    failure = Failure(kind="interrupted", stage="", message="the run ended before this cell did")
    return record.model_copy(update={"status": "failed", "failure": failure})
