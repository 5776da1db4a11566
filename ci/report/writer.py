"""Write a report in the format that the caller chose."""

from ci.choices import REPORT_FORMATS
from ci.report.html import html
from ci.report.json_report import document
from ci.report.junit import junit
from ci.report.markdown import markdown, replaced
from ci.report.model import Report
from ci.report.terminal import terminal
from ci.util.errors import UserError, require_choice

WRITERS = {
    "terminal": terminal,
    "markdown": markdown,
    "json": document,
    "junit": junit,
    "html": html,
}


def render_report(report: Report, form: str, into: str | None) -> str:
    """Write a report in one of the formats; Markdown goes between the marks of `into`, a document, if one is given.

    Raises:
        UserError: there is no such format, or the document does not go with it.
    """
    require_choice("report format", form, REPORT_FORMATS)
    text = WRITERS[form](report)
    if into is None:
        return text
    if form != "markdown":
        raise UserError(f"only markdown goes into a document, not {form}")
    return replaced(into, text)
