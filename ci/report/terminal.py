"""Render a report for a terminal: a table, a summary, and advice for each failure."""

from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ci.history.failures import POLICIES
from ci.history.records import Status
from ci.report.model import GLYPHS, Report, Row, describe_checks_below, describe_failure
from ci.util.errors import one_line
from ci.util.units import format_duration, format_size

WIDTH = 120
_TRIES = 7  # columns for the number of tries
_NOTES = 36  # columns for tries and notes, at least
_STYLES: dict[Status, str] = {
    "ok": "green",
    "warning": "yellow",
    "failed": "bold red",
    "building": "cyan",
    "not-run": "dim",
}


def render_terminal(report: Report, *, width: int = WIDTH, colours: bool = False) -> str:
    """Return the report as text for a terminal of `width` columns.

    Colours are off by default: Dagger prints a returned string into files and logs too.
    """
    out = StringIO()
    # All settings are given, and an empty environment: the text must not depend on where this runs.
    console = Console(
        file=out,
        width=width,
        force_terminal=colours,
        color_system="standard" if colours else None,
        legacy_windows=False,
        force_jupyter=False,
        force_interactive=False,
        markup=False,
        emoji=False,
        highlight=False,
        _environ={},
    )
    console.print(_table(report, width))
    table = "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())
    # These lines are not folded, so that they can be searched and copied.
    lines = [report.summary(), *(failure_line(row) for row in report.rows if row.failure)]
    for row in report.rows:
        lines += (
            [f"{one_line(row.cell)}: {text}" for text in describe_checks_below(row.record)]
            if row.record
            else []
        )
    lines += [f"history: {one_line(problem)}" for problem in report.problems]
    return "\n".join([table, "", *lines]) + "\n"


def failure_line(row: Row) -> str:
    """Return one line with the failure of a cell and advice, empty if it did not fail.

    It has the form `cell: kind at stage: message — advice`.
    """
    if row.failure is None:
        return ""
    advice = POLICIES[row.failure.kind].advice
    return one_line(f"{row.cell}: {describe_failure(row.failure)}" + (f" — {advice}" if advice else ""))


def _table(report: Report, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    # Status, day, size and time need at most 42 columns beside the cell. Tries and notes are left out where there is
    # no room for them: the lines below the table say too why a cell failed.
    room = width - 42 - max((len(row.cell) for row in report.rows), default=0)
    # On a very narrow terminal values are folded, because a cut value would be a wrong one.
    whole = room >= 0
    table.add_column("cell", no_wrap=whole, overflow="fold")
    table.add_column("status", no_wrap=whole, overflow="fold")
    table.add_column("last build", no_wrap=whole, overflow="fold")
    table.add_column("size", no_wrap=whole, justify="right", overflow="fold")
    table.add_column("time", no_wrap=whole, justify="right", overflow="fold")
    if room >= _TRIES:
        table.add_column("tries", no_wrap=True, justify="right")
    if room >= _NOTES:
        table.add_column("notes", overflow="fold")
    for row in report.rows:
        cells = (
            Text(one_line(row.cell)),
            Text(f"{GLYPHS[row.status]} {row.status}", style=_STYLES[row.status]),
            Text(row.date),
            Text(format_size(row.size)),
            Text(format_duration(row.seconds)),
            Text(str(row.attempts or "")),
            Text(row.notes),
        )
        table.add_row(*cells[: len(table.columns)])
    return table
