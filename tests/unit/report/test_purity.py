"""The reports are pure: records in, text out, the same on every machine."""

from collections.abc import Callable

import pytest

from ci.report.html import render_html
from ci.report.json_report import render_json
from ci.report.junit import render_junit
from ci.report.markdown import render_markdown
from ci.report.model import Report
from ci.report.terminal import render_terminal
from tests.unit.sample_histories import sample

FORMATS = pytest.mark.parametrize(
    "form", [render_terminal, render_markdown, render_json, render_junit, render_html]
)


@FORMATS
def test_equal_records_give_equal_text(form: Callable[[Report], str]) -> None:
    assert form(sample()) == form(sample())


@FORMATS
def test_every_report_ends_its_last_line(form: Callable[[Report], str]) -> None:
    assert form(sample()).endswith("\n")
