"""The status page as Markdown, and its place in a page that people write around it."""

import re

from ci.report.model import GLYPHS, MEANINGS, STATUSES, Report, Row
from ci.util.errors import UserError, one_line
from ci.util.units import format_duration, format_size, format_time

BEGIN = "<!-- cslr-images:begin -->"
END = "<!-- cslr-images:end -->"

_HEAD = ("cell", "status", "last build", "size", "compressed", "time", "notes")
_RULE = ("---", "---", "---", "---:", "---:", "---:", "---")
# Whatever could begin emphasis, a link, code, HTML, mathematics, a mention or a new cell of the table. All become
# entities: readers of Markdown disagree about backslashes inside tables, and none takes an entity for structure.
_SPECIAL = re.compile(r"[&<>|`\\*_\[\]~$@#!]|:(?=//)|(?<=\bwww)\.", re.IGNORECASE)


def markdown(report: Report) -> str:
    """Return the status as Markdown: a legend, a line that sums it up, and a table for each CUDA x Python pair."""
    legend = "; ".join(f"{GLYPHS[status]} {status}: {MEANINGS[status]}" for status in STATUSES)
    blocks = [legend, f"{escaped(format_time(report.now))}: {report.summary()}"]
    for pair, rows in report.by_pair().items():
        lines = [_line(_HEAD), _line(_RULE), *(_line(_cells(row)) for row in rows)]
        blocks += [f"### {escaped(pair)}", "\n".join(lines)]
    if report.problems:
        blocks += [
            "Problems of the history:",
            "\n".join(f"- {escaped(problem)}" for problem in report.problems),
        ]
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """Return text as one line of Markdown that shows as itself and does nothing.

    >>> escaped("a|b")
    'a&#124;b'
    """
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", one_line(text))


def replaced(document: str, table: str) -> str:
    """Put a table between the marks of a document and keep all else as it is, line endings included.

    Whoever reads the document from a file opens it with `newline=""`, or Python changes its line endings.

    Raises:
        UserError: the marks are missing, stand more than once or in the wrong order, or the table holds a mark.
    """
    if BEGIN in table or END in table:
        raise UserError(f"the table itself holds {BEGIN} or {END}")
    for mark in (BEGIN, END):
        count = document.count(mark)
        if count != 1:
            where = ", ".join(
                str(_line_of(document, found.start())) for found in re.finditer(re.escape(mark), document)
            )
            have = f"stands {count} times (lines {where})" if count else "is missing"
            raise UserError(
                f"{mark} {have}; the document needs {BEGIN} and {END}, once each and in this order"
            )
    head, rest = document.split(BEGIN)
    if END in head:
        line, after = _line_of(document, document.index(END)), _line_of(document, len(head))
        raise UserError(f"{END} (line {line}) stands before {BEGIN} (line {after})")
    old, tail = rest.split(END)
    newline = "\r\n" if re.match(r"[ \t]*\r\n", old) else "\n"
    body = "".join(line + newline for line in ("", *table.strip("\n").split("\n")))
    return f"{head}{BEGIN}{body}{END}{tail}"


def _cells(row: Row) -> tuple[str, ...]:
    tries = f"after {row.attempts} tries; " if row.attempts > 1 else ""
    return (
        escaped(row.cell),
        f"{GLYPHS[row.status]} {row.status}",
        row.date,
        format_size(row.size),
        format_size(row.compressed),
        format_duration(row.seconds),
        escaped(f"{tries}{row.notes}").removesuffix("; "),
    )


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _line_of(document: str, place: int) -> int:
    return document.count("\n", 0, place) + 1
