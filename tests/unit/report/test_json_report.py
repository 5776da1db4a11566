"""The report for machines."""

import json
from typing import Any

import pytest

from ci.history.history import History
from ci.history.records import BuildRecord
from ci.report.json_report import render_json
from ci.report.model import make_report
from tests.unit.sample_histories import (
    BUILDING,
    CELLS,
    DEVEL,
    GB,
    HISTORY,
    HOSTILE,
    NOW,
    PROBLEM,
    RAY_RUNTIME,
    RUN,
    said_everywhere,
    sample,
)


def read(text: str) -> dict[str, Any]:
    """Read strict JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def test_it_is_versioned_and_tells_when() -> None:
    found = read(render_json(sample()))
    assert (found["schema"], found["generated"]) == (1, NOW)


def test_cells_stand_in_the_order_asked_for() -> None:
    assert [cell["cell"] for cell in read(render_json(sample()))["cells"]] == list(CELLS)


def test_a_cell_has_bytes_seconds_and_full_times() -> None:
    assert read(render_json(sample()))["cells"][0] == {
        "cell": DEVEL,
        "pair": "cu12.8.1-py3.13",
        "target": "devel",
        "status": "ok",
        "last_build": "2026-11-22T02:00:00Z",
        "last_good": "2026-11-22T02:00:00Z",
        "size": 30 * GB,
        "compressed": 10 * GB,
        "seconds": 168.0,
        "tries": 1,
        "notes": "python 3.13.9, torch 2.11.0",
    }


def test_a_failed_cell_tells_its_last_good_build_apart_from_its_last() -> None:
    (cell,) = (cell for cell in read(render_json(sample()))["cells"] if cell["cell"] == RAY_RUNTIME)
    assert cell["status"] == "failed"
    assert cell["last_good"] == "2026-11-15T02:10:00Z"
    assert cell["last_build"] > cell["last_good"]


def test_a_cell_that_was_never_good_has_no_last_good_build() -> None:
    (cell,) = (cell for cell in read(render_json(sample()))["cells"] if cell["cell"] == BUILDING)
    assert (cell["last_good"], bool(cell["last_build"])) == (None, True)


def test_records_are_the_newest_and_have_the_keys_of_the_history() -> None:
    records = read(render_json(sample()))["records"]
    assert set(records) == set(CELLS) - {"cu12.8.1-py3.13-marimo-runtime"}
    assert records[DEVEL]["run"] == RUN
    assert records[BUILDING]["status"] == "building"
    assert records[RAY_RUNTIME]["failure"]["kind"] == "compile-error"
    line = BuildRecord.model_validate_json(json.dumps(records[DEVEL])).line()
    assert line == next(row.record.line() for row in sample().rows if row.record and row.cell == DEVEL)


def test_problems_and_sums_are_shown() -> None:
    found = read(render_json(sample()))
    assert found["problems"] == [PROBLEM]
    assert found["counts"] == {"ok": 2, "warning": 1, "failed": 2, "building": 1, "not-run": 1}
    assert found["size"] == round(80.7 * GB)
    assert found["seconds"] == 779.0


def test_equal_histories_give_equal_documents() -> None:
    again = History(tuple(record.model_copy() for record in HISTORY.records), HISTORY.problems)
    assert render_json(make_report(again, CELLS, now=NOW, live=[RUN])) == render_json(sample())


@pytest.mark.parametrize("text", [*HOSTILE, "\ud800"])
def test_hostile_text_comes_back_whole(text: str) -> None:
    if text == "\ud800":
        written = render_json(make_report(History((), (text,)), (), now=NOW))
    else:
        written = render_json(said_everywhere(text))
    assert written.isascii()
    assert read(written)["problems"] == [text]
