"""The report for a terminal."""

import re

import pytest
from rich.cells import cell_len

from ci.history.history import History
from ci.history.records import Failure
from ci.report.model import describe_failure, make_report
from ci.report.terminal import failure_line, render_terminal
from tests.unit.sample_histories import (
    CELLS,
    COMPILE,
    DEVEL,
    HOSTILE,
    MARIMO_RUNTIME,
    NOW,
    PROBLEM,
    RAY_DEVEL,
    RAY_RUNTIME,
    RUNTIME,
    failed,
    said_everywhere,
    sample,
)


def table(text: str) -> list[str]:
    """Return the lines of the table: all before the first empty one."""
    return text.split("\n\n")[0].splitlines()


def test_every_cell_is_in_the_table_with_glyph_and_status() -> None:
    lines = table(render_terminal(sample()))
    for row in sample().rows:
        assert any(re.match(rf"{re.escape(row.cell)} +\S {row.status}\b", line) for line in lines), row.cell


def test_a_row_holds_what_people_look_for() -> None:
    line = next(line for line in table(render_terminal(sample())) if line.startswith(f"{DEVEL} "))
    assert line.split("  ")[-1] == "python 3.13.9, torch 2.11.0"
    assert re.search(r"2026-11-22 +30\.0 GB +2\.8 min +1 ", line)


def test_the_last_lines_sum_up_and_tell_each_failure_with_advice() -> None:
    assert render_terminal(sample()).split("\n\n")[1].splitlines() == [
        sample().summary(),
        f"{RAY_DEVEL}: interrupted: the run ended before this cell did — run again: it goes on from where it ended",
        f"{RAY_RUNTIME}: {describe_failure(COMPILE)} — the compiler's first error stands above",
        f"{RUNTIME}: 1 of 2 checks passed in {DEVEL}: train_step",
        f"history: {PROBLEM}",
    ]


def test_a_kind_without_advice_ends_with_its_message() -> None:
    history = History((failed(DEVEL, Failure(kind="unknown", stage="torch", message="exit status 3")),))
    row = make_report(history, [DEVEL], now=NOW).rows[0]
    assert failure_line(row) == f"{DEVEL}: unknown at torch: exit status 3"


def test_a_cell_that_did_not_fail_has_no_failure_line() -> None:
    assert [row.cell for row in sample().rows if not failure_line(row)] == [
        cell for cell in CELLS if not cell.endswith(("ray-devel", "ray-runtime"))
    ]


def test_there_are_no_colours_unless_asked_for() -> None:
    assert "\x1b" not in render_terminal(sample())
    assert "\x1b[1;31m✗ failed" in render_terminal(sample(), colours=True)


def test_the_machine_it_is_written_on_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, coloured = render_terminal(sample()), render_terminal(sample(), colours=True)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "40")
    assert render_terminal(sample()) == plain
    assert render_terminal(sample(), colours=True) == coloured


@pytest.mark.parametrize("width", [40, 72, 80, 108, 120, 200])
def test_the_table_keeps_its_width_and_cuts_nothing(width: int) -> None:
    lines = table(render_terminal(sample(), width=width))
    assert max(map(cell_len, lines)) <= width
    # The one ellipsis is the glyph of building.
    assert sum(line.count("…") for line in lines) == 1
    assert all(line == line.rstrip() for line in lines)
    if width >= 72:
        assert any(line.startswith(MARIMO_RUNTIME) for line in lines)


def test_notes_go_before_they_are_squeezed() -> None:
    assert "notes" in table(render_terminal(sample(), width=108))[0]
    assert "notes" not in table(render_terminal(sample(), width=100))[0]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_can_neither_forge_a_line_nor_reach_the_terminal(text: str) -> None:
    report = said_everywhere(text)
    lines = render_terminal(report).splitlines()
    assert all(line.isprintable() for line in lines)
    assert len([line for line in lines if line.startswith("history: ")]) == 1
    # Its failure, and the checks that ran elsewhere.
    assert len([line for line in lines if line.startswith(f"{RAY_RUNTIME}: ")]) == 2


def test_rich_markup_in_a_note_is_text() -> None:
    assert "[bold]x[/bold] :smile:" in render_terminal(said_everywhere("[bold]x[/bold] :smile:"))
