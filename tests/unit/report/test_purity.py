"""The reports are pure: records in, text out, the same on every machine."""

from collections.abc import Callable

import pytest

from ci.report.html import html
from ci.report.json_report import document
from ci.report.junit import junit
from ci.report.markdown import markdown
from ci.report.model import Report
from ci.report.terminal import terminal
from tests.unit.sample_histories import sample

FORMATS = pytest.mark.parametrize("form", [terminal, markdown, document, junit, html])


@FORMATS
def test_equal_records_give_equal_text(form: Callable[[Report], str]) -> None:
    assert form(sample()) == form(sample())


@FORMATS
def test_every_report_ends_its_last_line(form: Callable[[Report], str]) -> None:
    assert form(sample()).endswith("\n")
