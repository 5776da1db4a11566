"""All formats: the same text for the same records on every machine, and Markdown inside a document."""

import pytest

from ci.choices import REPORT_FORMATS
from ci.report.markdown import BEGIN, END, render_markdown
from ci.report.writer import RENDERERS, render_report
from tests.unit.sample_histories import sample
from tests.unit.user_errors import mistake, nasty


def test_every_accepted_format_has_a_renderer() -> None:
    assert tuple(RENDERERS) == REPORT_FORMATS


@pytest.mark.parametrize("output_format", REPORT_FORMATS)
def test_equal_records_give_equal_text(output_format: str) -> None:
    assert render_report(sample(), output_format, None) == render_report(sample(), output_format, None)


@pytest.mark.parametrize("output_format", REPORT_FORMATS)
def test_every_report_ends_its_last_line(output_format: str) -> None:
    assert render_report(sample(), output_format, None).endswith("\n")


def test_markdown_goes_between_the_marks_of_a_document() -> None:
    page = render_report(sample(), "markdown", f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert page == f"before\n{BEGIN}\n{render_markdown(sample())}{END}\nafter\n"


@pytest.mark.parametrize("output_format", [name for name in REPORT_FORMATS if name != "markdown"])
def test_no_other_format_goes_into_a_document(output_format: str) -> None:
    message = mistake(lambda: render_report(sample(), output_format, f"{BEGIN}\n{END}\n"))
    assert message == f"only markdown goes into a document, not {output_format}"


@nasty
def test_an_unknown_format_is_a_mistake(value: str) -> None:
    assert mistake(lambda: render_report(sample(), value, None)).startswith("unknown report format ")
