"""Read the lines of a history file; in a broken line, find the records that are whole."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic import ValidationError

from ci.history.records import SCHEMA, BuildRecord
from ci.util.model import format_validation_error, freeze_lists

_FIELDS = BuildRecord.model_fields.items()
_NEEDED = {name for name, field in _FIELDS if field.is_required()}
_KEYS = sorted({"schema", "promises", *(name for name, _ in _FIELDS)} - {"schema_"})
# How a record begins, whatever its first key. Inside a text this cannot occur, for quotes are escaped there; objects
# inside a record may begin so too.
_BEGINNING = re.compile(rf'\{{\s*"(?:{"|".join(_KEYS)})"\s*:')
# What the search in a broken line may read again, as a multiple of its length, and what an attempt counts that failed
# at no known place or after it was read: a hostile line has a million beginnings.
_MOST_WORK, _COST = 4, 50_000


class Unread(NamedTuple):
    """What is no record: a line or a part of it, to be kept as it is, and the problem, if it is not told yet."""

    text: str
    problem: str


def split_lines(text: str) -> Iterator[tuple[int, str]]:
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


def read_line(line: str) -> Iterator[BuildRecord | Unread]:
    """Yield the record of a line; of a broken or an unknown one its parts, in order, which are the whole line."""
    with suppress(ValueError):
        yield BuildRecord.model_validate_json(line)  # many times faster than the rest, with worse messages
        return
    try:
        result = _validate(json.loads(line))
        yield result if isinstance(result, BuildRecord) else Unread(line, result)
    except (ValueError, RecursionError):
        yield Unread("", f"not JSON, passed over: {line[:40]!r}")
        yield from _split_broken(line)


def _validate(data: Any) -> BuildRecord | str:
    """Return the record in parsed data, or what is wrong with it."""
    if not isinstance(data, dict):
        return "not a record, passed over"
    schema = data.get("schema", SCHEMA)
    if type(schema) is int and schema > SCHEMA:
        return f"schema {str(schema)[:20]} is newer than this version knows, passed over"
    try:
        return BuildRecord.model_validate(freeze_lists(data))
    except ValidationError as error:
        return f"{format_validation_error(error, BuildRecord)}, passed over"


def _split_broken(line: str) -> Iterator[BuildRecord | Unread]:
    """Yield the complete records in a line that is broken before, between or after them, and the text around them."""
    decoder = json.JSONDecoder()
    rest = place = work = 0
    while work <= _MOST_WORK * len(line) + 10 * _COST and (beginning := _BEGINNING.search(line, place)):
        start = beginning.start()
        place = beginning.end()
        try:
            data, end = decoder.raw_decode(line, start)
        except json.JSONDecodeError as error:
            work += error.pos - start
            continue
        except (ValueError, RecursionError):
            work += _COST
            continue
        work += end - start
        result = _validate(data) if data.keys() >= _NEEDED else ""
        if result and not isinstance(result, BuildRecord):
            work += _COST
        if isinstance(result, BuildRecord):
            yield from _keep(line[rest:start])
            yield result
            rest = place = end
    yield from _keep(line[rest:])


def _keep(text: str) -> Iterator[Unread]:
    if text.strip(" \t\r"):
        yield Unread(text, "")
