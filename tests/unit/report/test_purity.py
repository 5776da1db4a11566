"""The reports are pure: records in, text out, the same on every machine."""

import ast
import inspect
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

import pytest

import ci.report
from ci.report.html import html
from ci.report.json_report import document
from ci.report.junit import junit
from ci.report.markdown import markdown
from ci.report.model import Report
from ci.report.terminal import terminal
from tests.unit.sample_histories import sample

MODULES = [module.name for module in iter_modules(ci.report.__path__, "ci.report.")]
FORMATS = pytest.mark.parametrize("form", [terminal, markdown, document, junit, html])

ALLOWED = {
    *(
        "base64",
        "collections.abc",
        "dataclasses",
        "hashlib",
        "html",
        "importlib",
        "io",
        "json",
        "re",
        "typing",
    ),
    *("rich", "rich.console", "rich.table", "rich.text", "xml.etree"),
    *("ci.errors", "ci.records", "ci.triage"),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_what_is_pure(name: str) -> None:
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(import_module(name)))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    assert {module for module in found if not module.startswith("ci.report")} <= ALLOWED


@FORMATS
def test_equal_records_give_equal_text(form: Callable[[Report], str]) -> None:
    assert form(sample()) == form(sample())


@FORMATS
def test_every_report_ends_its_last_line(form: Callable[[Report], str]) -> None:
    assert form(sample()).endswith("\n")
