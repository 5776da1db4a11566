"""Read, merge and query histories: JSON Lines files, one record a line, oldest first.

A crash in the middle of a write leaves at most one broken line. Such a line is reported and skipped; the others are
still read.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from ci.history.records import SCHEMA, BuildRecord, Failure
from ci.plan.attempt import StageAttempt
from ci.util.model import format_validation_error, freeze_lists


@dataclass(frozen=True)
class History:
    """All records, oldest first, and the problems found in lines that could not be read.

    `unknown_lines` were written by a later version of this program. They are not understood, and `text` writes them
    back unchanged; each is without its newline.
    """

    records: tuple[BuildRecord, ...] = ()
    problems: tuple[str, ...] = ()
    unknown_lines: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the history as a file: each record, then the lines of later versions."""
        unknown = (f"{line}\n" for line in self.unknown_lines)
        return "".join([*(record.line() for record in self.records), *unknown])

    def latest(self, cell: str) -> BuildRecord | None:
        """Return the newest record of a cell.

        An attempt recorded as `building` counts only until a later attempt exists; once it has ended, the record of
        its end counts, wherever that is in the history.
        """
        return next(reversed(self._by_cell.get(cell, ())), None)

    def last_good(self, cell: str) -> BuildRecord | None:
        """Return the newest record of a cell whose image was built."""
        newest_first = reversed(self._by_cell.get(cell, ()))
        return next((record for record in newest_first if record.status in ("ok", "warning")), None)

    def finished(self, cell: str) -> tuple[BuildRecord, ...]:
        """Return the finished attempts of a cell, oldest first."""
        return tuple(record for record in self._by_cell.get(cell, ()) if record.finished)

    def stage_seconds(self) -> Mapping[str, float]:
        """Return the longest build of each stage in seconds, by stage digest.

        Shorter ones may have been cached.
        """
        longest: dict[str, float] = {}
        for record in self.records:
            for stage in record.stages:
                if stage.digest and not stage.shared_with:
                    longest[stage.digest] = max(longest.get(stage.digest, 0.0), stage.seconds)
        return longest

    def attempts(self) -> Mapping[str, StageAttempt]:
        """Return the last successful attempt of each stage, by stage digest."""
        stages = (stage for record in self.records for stage in record.stages)
        return {stage.digest: StageAttempt(stage.jobs, stage.tried) for stage in stages if stage.digest}

    def with_interrupted(self, live: Collection[str] = ()) -> "History":
        """Return the history with unfinished attempts of ended runs marked as interrupted.

        `live` are the ids of the runs that may still be building.
        """
        records = tuple(
            _mark_interrupted(record) if record.status == "building" and record.run not in live else record
            for record in self._decisive
        )
        return History(records, self.problems, self.unknown_lines)

    @cached_property
    def _decisive(self) -> tuple[BuildRecord, ...]:
        """The records that no other record of the same attempt supersedes."""
        weights = [
            # Of several starts of one attempt the last one counts; ends are all kept.
            (rank, place if rank == 0 else 0)
            for place, rank in enumerate(map(_rank, self.records))
        ]
        heaviest: dict[tuple[str, str, int], tuple[int, int]] = {}
        for record, weight in zip(self.records, weights, strict=True):
            heaviest[record.key] = max(heaviest.get(record.key, weight), weight)
        return tuple(
            record
            for record, weight in zip(self.records, weights, strict=True)
            if record.status == "not-run" or weight >= heaviest[record.key]
        )

    @cached_property
    def _by_cell(self) -> Mapping[str, list[BuildRecord]]:
        # A report asks for each cell: a search through all records for each would be quadratic.
        by_cell: dict[str, list[BuildRecord]] = {}
        for record in self._decisive:
            by_cell.setdefault(record.cell, []).append(record)
        return by_cell


def read_history(text: str, name: str = "history.jsonl") -> History:
    """Read a history file; a line that cannot be read becomes a problem and is skipped.

    If a crash cut a line and the next record was written directly after it, that record is read.

    >>> read_history("nonsense\\n").problems
    ("history.jsonl line 1: not JSON, passed over: 'nonsense'",)
    """
    records: list[BuildRecord] = []
    problems: list[str] = []
    unknown_lines: list[str] = []
    for number, line in _split_lines(text):
        result = _read_line(line)
        if isinstance(result, BuildRecord):
            records.append(result)
            continue
        problems.append(f"{name} line {number}: {result}")
        if result.startswith(_NEWER_SCHEMA):
            unknown_lines.append(line)
        elif result.startswith(_NOT_JSON):
            records.extend(_find_records(line))
    return History(tuple(records), tuple(problems), tuple(unknown_lines))


def merge_histories(*histories: History) -> History:
    """Merge histories: each record once, ordered by start time."""
    records: dict[str, BuildRecord] = {}
    for history in histories:
        for record in history.records:
            records.setdefault(record.line(), record)
    # The sort is stable: records with the same start time keep the order in which they were written.
    ordered = sorted(records.values(), key=_start_time)
    problems = dict.fromkeys(problem for history in histories for problem in history.problems)
    unknown_lines = dict.fromkeys(line for history in histories for line in history.unknown_lines)
    return History(tuple(ordered), tuple(problems), tuple(unknown_lines))


def missing_lines(known: History, other: History) -> str:
    """Return the lines of `other` that `known` does not have, as text to append to it."""
    lines = {record.line() for record in known.records} | {f"{line}\n" for line in known.unknown_lines}
    candidates = [
        *(record.line() for record in other.records),
        *(f"{line}\n" for line in other.unknown_lines),
    ]
    return "".join(line for line in candidates if line not in lines)


# How the problems of two kinds of lines begin.
_NOT_JSON = "not JSON"
_NEWER_SCHEMA = "schema "

# How a line begins: its first key in alphabetical order. Inside a line this cannot occur, for quotes are escaped.
_BEGINNING = re.compile(r'\{"(?:archs|attempt|cell)": ')
_MOST_FAILURES = 8  # at places in a broken line where a record could begin


def _split_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that is not blank with its number, without a copy of the whole text."""
    start = len(text) - len(text.removeprefix("\ufeff"))  # some editors put a byte order mark first
    number = 1
    while start < len(text):
        # Only a newline ends a record: the output of a step may contain other line separators.
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if line.strip(" \t\r"):
            yield number, line
        start, number = end + 1, number + 1


def _read_line(line: str) -> BuildRecord | str:
    """Return the record in a line, or a description of the problem."""
    try:
        return BuildRecord.model_validate_json(line)  # many times faster than the rest, with worse messages
    except ValueError:
        pass
    try:
        return _validate(json.loads(line))
    except (ValueError, RecursionError):
        return f"{_NOT_JSON}, passed over: {line[:40]!r}"


def _validate(data: Any) -> BuildRecord | str:
    if not isinstance(data, dict):
        return "not a record, passed over"
    schema = data.get("schema", SCHEMA)
    if type(schema) is int and schema > SCHEMA:
        return f"{_NEWER_SCHEMA}{str(schema)[:20]} is newer than this version knows, passed over"
    try:
        return BuildRecord.model_validate(freeze_lists(data))
    except ValidationError as error:
        return f"{format_validation_error(error, BuildRecord)}, passed over"


def _find_records(line: str) -> Iterator[BuildRecord]:
    """Yield the complete records in a line that is broken before, between or after them."""
    decoder = json.JSONDecoder()
    place = failures = 0
    while failures < _MOST_FAILURES and (beginning := _BEGINNING.search(line, place)):
        try:
            data, end = decoder.raw_decode(line, beginning.start())
            result = _validate(data)
        except (ValueError, RecursionError):
            result, end = "", 0
        if isinstance(result, BuildRecord):
            yield result
            place = end
        else:
            place, failures = beginning.end(), failures + 1


def _start_time(record: BuildRecord) -> tuple[str, str]:
    # Compared as plain text, "00Z" would come after "00.5Z".
    whole, _, fraction = record.started.removesuffix("Z").partition(".")
    return whole, fraction.rstrip("0")


def _rank(record: BuildRecord) -> int:
    """Rank the records of one attempt: started < marked as interrupted < finished."""
    if not record.finished:
        return 0
    # Another run may have marked this attempt as interrupted although it went on.
    return 1 if record.failure and record.failure.kind == "interrupted" else 2


def _mark_interrupted(record: BuildRecord) -> BuildRecord:
    failure = Failure(kind="interrupted", stage="", message="the run ended before this cell did")
    return record.model_copy(update={"status": "failed", "failure": failure})
