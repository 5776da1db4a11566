"""Records are read as they were written, and refused if they cannot be."""

import json
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from ci.history.history import read_history
from ci.history.records import SCHEMA, BuildRecord, Failure
from tests.unit.history.strategies import SURROGATES, record, records


@given(records)
def test_a_record_is_read_as_it_was_written(found: BuildRecord) -> None:
    again = read_history(found.line())
    assert again.problems == ()
    assert again.records == (found,)
    assert again.text() == found.line()


@given(records)
def test_a_record_is_one_line_of_ascii(found: BuildRecord) -> None:
    line = found.line()
    assert line.isascii()
    assert line.splitlines() == [line[:-1]]
    assert "\x00" not in line
    assert json.loads(line)["schema"] == SCHEMA


@pytest.mark.parametrize("text", SURROGATES)
def test_text_that_cannot_be_encoded_is_replaced(text: str) -> None:
    found = Failure(kind="bug", stage="s", message=text, tail=(text,))
    assert "\ufffd" in found.message
    assert found.message.encode()
    assert found.tail == (found.message,)
    # A line that another program wrote.
    line = record(notes=("HERE",)).line().replace("HERE", json.dumps(text)[1:-1])
    (read,) = read_history(line).records
    assert read.notes[0].encode()


def test_a_line_has_only_values_that_differ_from_the_default() -> None:
    assert record().line() == (
        '{"cell": "a", "plan": "p", "run": "run-1", "schema": 3, "sources": "upstream", '
        '"started": "2026-11-22T02:00:00Z", "status": "ok"}\n'
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"started": "2026-11-22 02:00:00Z"},
        {"started": "2026-11-22T02:00:00"},
        {"started": "2026-11-22T02:00:00Z\n"},
        {"started": "2026-11-22T24:00:00Z"},
        {"started": "2026-13-22T02:00:00Z"},
        {"started": "2026-02-29T02:00:00Z"},
        {"started": "2100-02-29T02:00:00Z"},
        {"started": "2026-11-31T02:00:00Z"},
        {"started": "0000-01-01T02:00:00Z"},
        {"started": "\u0662026-11-22T02:00:00Z"},
        {"seconds": -1.0},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
        {"size": -1},
        {"size": 2**63},
        {"size": 1.5},
        {"attempt": 0},
        {"status": "done"},
        {"schema": 4},
        {"colour": "red"},
    ],
    ids=str,
)
def test_an_invalid_record_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record(**changes)
