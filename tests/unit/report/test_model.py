"""Rows: what the newest try of each cell came to."""

import pytest

from ci.history.history import History
from ci.history.records import BuildRecord, Failure, LayerSize
from ci.report.json_report import report_to_dict
from ci.report.model import STATUSES, Report, Row, describe_failure, make_report
from tests.unit.sample_histories import (
    BUILDING,
    CELLS,
    DEVEL,
    GB,
    HISTORY,
    HOSTILE,
    MARIMO_DEVEL,
    MARIMO_RUNTIME,
    NETWORK,
    NOW,
    PAIR,
    PROBLEM,
    RAY_DEVEL,
    RAY_RUNTIME,
    RUN,
    RUNTIME,
    failed,
    image,
    record,
    sample,
)


def row(cell: str, history: History = HISTORY) -> Row:
    """Return the row of a cell."""
    return next(row for row in make_report(history, CELLS, now=NOW, live=[RUN]).rows if row.cell == cell)


def test_every_cell_asked_for_has_a_row_in_the_order_asked_for() -> None:
    asked = (MARIMO_RUNTIME, DEVEL, BUILDING)
    assert [row.cell for row in make_report(HISTORY, asked, now=NOW).rows] == list(asked)


def test_a_cell_asked_for_twice_has_one_row() -> None:
    assert len(make_report(HISTORY, (DEVEL, DEVEL), now=NOW).rows) == 1


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        (DEVEL, "ok"),
        (RUNTIME, "ok"),
        (RAY_DEVEL, "failed"),
        (RAY_RUNTIME, "failed"),
        (MARIMO_DEVEL, "warning"),
        (MARIMO_RUNTIME, "not-run"),
        (BUILDING, "building"),
    ],
)
def test_the_status_is_that_of_the_newest_try(cell: str, status: str) -> None:
    assert row(cell).status == status


def test_a_row_shows_its_newest_try() -> None:
    found = row(DEVEL)
    assert (found.date, found.size, found.compressed, found.seconds) == (
        "2026-11-22",
        30 * GB,
        10 * GB,
        168.0,
    )
    assert (found.pair, found.target) == (PAIR, "devel")
    assert [one.run for one in found.tries] == ["run-1", RUN]


def test_versions_are_shown_in_the_order_of_their_importance() -> None:
    assert row(DEVEL).notes == "python 3.13.9, torch 2.11.0"


def test_a_warning_shows_failed_checks_and_notes_before_versions() -> None:
    assert row(MARIMO_DEVEL).notes == "failed checks: marimo_page; the page took 40 s"


def test_a_failure_shows_kind_stage_message_and_the_last_good_day() -> None:
    said = "compile-error at wheels: scatter.cu(7): error: no such <T>; last good 2026-11-15"
    assert row(RAY_RUNTIME).notes == said
    assert row(RAY_RUNTIME).size is None


def test_a_try_of_an_ended_run_is_interrupted_and_one_of_this_run_is_not() -> None:
    interrupted = row(RAY_DEVEL).failure
    assert interrupted
    assert interrupted.kind == "interrupted"
    assert row(BUILDING).notes == "since 2026-11-22 03:00 UTC"
    ended = make_report(HISTORY, [BUILDING], now=NOW).rows[0]
    assert ended.failure
    assert ended.failure.kind == "interrupted"


def test_tries_are_those_of_the_newest_run() -> None:
    assert [row(cell).attempts for cell in (DEVEL, RUNTIME, MARIMO_RUNTIME)] == [1, 2, 0]


def test_a_failure_without_a_reason_is_of_unknown_kind() -> None:
    found = row(DEVEL, History((record(DEVEL, status="failed"),)))
    assert found.failure
    assert found.notes == "unknown: nothing was recorded"


def test_being_left_out_hides_no_earlier_try() -> None:
    left_out = record(
        DEVEL, "2026-11-23T02:00:00Z", status="not-run", seconds=None, notes=("disk below 30 GB",)
    )
    found = row(DEVEL, History((*HISTORY.records, left_out)))
    assert (found.status, found.date) == ("ok", "2026-11-22")
    assert found.notes.endswith("; left out on 2026-11-23: disk below 30 GB")
    alone = row(DEVEL, History((left_out,)))
    assert (alone.status, alone.notes) == ("not-run", "left out on 2026-11-23: disk below 30 GB")


def test_a_cell_tried_after_it_was_left_out_no_longer_says_so() -> None:
    left_out = record(DEVEL, "2026-11-01T02:00:00Z", status="not-run", seconds=None, notes=("disk",))
    assert "left out" not in row(DEVEL, History((left_out, *HISTORY.records))).notes


@pytest.mark.parametrize("text", HOSTILE)
def test_notes_are_one_printable_line(text: str) -> None:
    notes = row(DEVEL, History((failed(DEVEL, Failure(kind="unknown", stage=text, message=text)),))).notes
    assert notes.isprintable()


def test_long_notes_are_cut() -> None:
    notes = row(DEVEL, History((record(DEVEL, notes=("x" * 1000,)),))).notes
    assert len(notes) == 400
    assert notes.endswith("…")


def test_the_summary_counts_every_row() -> None:
    assert sample().summary() == ("2 ok, 1 with warnings, 2 failed, 1 building, 1 not run; 13.0 min; 80.7 GB")
    assert sum(sample().counts().values()) == len(CELLS)
    assert tuple(sample().counts()) == STATUSES


def test_the_summary_leaves_out_what_does_not_occur_but_for_the_usual_three() -> None:
    assert Report(()).summary() == "0 ok, 0 failed, 0 not run; 0.0 s; 0 B"


def test_problems_of_the_history_are_kept() -> None:
    assert sample().problems == (PROBLEM,)


def test_rows_are_grouped_by_pair_in_order() -> None:
    grouped = sample().by_pair()
    assert [len(rows) for rows in grouped.values()] == [6, 1]
    assert [row.cell for rows in grouped.values() for row in rows] == list(CELLS)


def test_the_newest_image_of_a_failed_gate_is_its_own() -> None:
    gate = Failure(kind="gate", stage="gate", message="larger than 15 GB")
    found = row(DEVEL, History((*HISTORY.records, failed(DEVEL, gate, **image(31.0)))))
    assert (found.status, found.size) == ("failed", 31 * GB)
    assert found.good
    assert found.good.size == 30 * GB


def test_a_failure_that_was_retried_and_passed_is_no_failure() -> None:
    assert row(RUNTIME).failure is None
    assert [one.failure for one in row(RUNTIME).tries] == [NETWORK, None]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_failure_is_described_in_one_printable_line(text: str) -> None:
    assert describe_failure(Failure(kind="unknown", stage=text, message=text, exit_code=1)).isprintable()


def test_a_layer_that_images_share_counts_once() -> None:
    def row(cell: str, *layers: tuple[str, int, str]) -> BuildRecord:
        made = tuple(LayerSize(name=name, size=size, key=key) for name, size, key in layers)
        return record(cell).model_copy(update={"layers": made, "size": sum(size for _, size, _ in layers)})

    history = History(
        (
            row("a", ("base", 5, "base"), ("pack", 100, "env")),
            row("b", ("runtime-base", 2, "runtime"), ("pack", 100, "env")),
            row("c", ("base", 7, ""), ("pack", 100, "env")),
        )
    )
    report = make_report(history, ["a", "b", "c"], now="2026-11-22T02:00:00Z")
    assert report.size() == 314
    assert report.unique_size() == 107 + 107
    assert report_to_dict(report)["unique_size"] == 214
    assert "214 B with shared layers counted once" in report.summary()
