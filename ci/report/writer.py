"""Render a report in the format that the caller chose."""

from ci.choices import REPORT_FORMATS
from ci.report.html import render_html
from ci.report.json_report import render_json
from ci.report.junit import render_junit
from ci.report.markdown import render_markdown, replace_table
from ci.report.model import Report
from ci.report.terminal import render_terminal
from ci.util.errors import UserError, require_choice

RENDERERS = {
    "terminal": render_terminal,
    "markdown": render_markdown,
    "json": render_json,
    "junit": render_junit,
    "html": render_html,
}


def render_report(report: Report, output_format: str, into: str | None) -> str:
    """Return a report in one of the formats.

    If `into`, a document, is given, the Markdown is put between its marks.

    Raises:
        UserError: the format is unknown, or a document is given for another format than Markdown.
    """
    require_choice("report format", output_format, REPORT_FORMATS)
    text = RENDERERS[output_format](report)
    if into is None:
        return text
    if output_format != "markdown":
        raise UserError(f"only markdown goes into a document, not {output_format}")
    return replace_table(into, text)
