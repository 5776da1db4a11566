"""Render a report as Markdown, and replace the table in a page that people edit."""

import re

from ci.report.model import GLYPHS, MEANINGS, STATUSES, Report, Row
from ci.util.errors import UserError
from ci.util.escape import escape_markdown
from ci.util.units import format_duration, format_size, format_time

BEGIN = "<!-- cslr-images:begin -->"
END = "<!-- cslr-images:end -->"

_HEAD = ("cell", "status", "last build", "size", "compressed", "time", "notes")
_ALIGNMENT = ("---", "---", "---", "---:", "---:", "---:", "---")


def render_markdown(report: Report) -> str:
    """Return the report as Markdown: a legend, a summary, and a table for each pair."""
    legend = "; ".join(f"{GLYPHS[status]} {status}: {MEANINGS[status]}" for status in STATUSES)
    blocks = [legend, f"{escape_markdown(format_time(report.now))}: {report.summary()}"]
    for pair, rows in report.by_pair().items():
        lines = [_line(_HEAD), _line(_ALIGNMENT), *(_line(_cells(row)) for row in rows)]
        blocks += [f"### {escape_markdown(pair)}", "\n".join(lines)]
    if report.problems:
        blocks += [
            "Problems of the history:",
            "\n".join(f"- {escape_markdown(problem)}" for problem in report.problems),
        ]
    return "\n\n".join(blocks) + "\n"


def replace_table(document: str, table: str) -> str:
    """Replace the text between the two marks of a document; line endings stay the same.

    A document from a file must be read with `newline=""`, or Python changes its line endings.

    Raises:
        UserError: the marks are missing, repeated or in the wrong order, or the table contains a mark.
    """
    if BEGIN in table or END in table:
        raise UserError(f"the table itself holds {BEGIN} or {END}")
    for mark in (BEGIN, END):
        count = document.count(mark)
        if count != 1:
            where = ", ".join(
                str(_line_number(document, match.start())) for match in re.finditer(re.escape(mark), document)
            )
            have = f"occurs {count} times (lines {where})" if count else "is missing"
            raise UserError(
                f"{mark} {have}; the document needs {BEGIN} and {END}, once each and in this order"
            )
    head, rest = document.split(BEGIN)
    if END in head:
        line, after = _line_number(document, document.index(END)), _line_number(document, len(head))
        raise UserError(f"{END} (line {line}) comes before {BEGIN} (line {after})")
    old, tail = rest.split(END)
    newline = "\r\n" if re.match(r"[ \t]*\r\n", old) else "\n"
    body = "".join(line + newline for line in ("", *table.strip("\n").split("\n")))
    return f"{head}{BEGIN}{body}{END}{tail}"


def _cells(row: Row) -> tuple[str, ...]:
    tries = f"after {row.attempts} tries; " if row.attempts > 1 else ""
    return (
        escape_markdown(row.cell),
        f"{GLYPHS[row.status]} {row.status}",
        row.date,
        format_size(row.size),
        format_size(row.compressed),
        format_duration(row.seconds),
        escape_markdown(f"{tries}{row.notes}").removesuffix("; "),
    )


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _line_number(document: str, position: int) -> int:
    return document.count("\n", 0, position) + 1
