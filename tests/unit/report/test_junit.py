"""JUnit XML: what a CI system reads back."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from ci.history.history import History
from ci.history.records import Failure
from ci.report.junit import render_junit
from ci.report.model import Report, make_report
from ci.util.escape import escape_xml
from tests.unit.sample_histories import (
    CELLS,
    DEVEL,
    HOSTILE,
    PROBLEM,
    RAY_RUNTIME,
    RUNTIME,
    failed,
    said_everywhere,
    sample,
)
from tests.unit.user_errors import texts


def suite(report: Report) -> ET.Element:
    """Read a report back as a CI system would: from bytes."""
    root = ET.fromstring(render_junit(report).encode())  # noqa: S314 - our own text
    assert root.tag == "testsuites"
    found = root.find("testsuite")
    assert found is not None
    return found


def case(cell: str) -> ET.Element:
    """Return the test case of a cell of the sample."""
    return next(case for case in suite(sample()).iter("testcase") if case.get("name") == cell)


def test_each_cell_is_a_test_case_of_its_pair() -> None:
    cases = list(suite(sample()).iter("testcase"))
    assert [case.get("name") for case in cases] == list(CELLS)
    assert {case.get("classname") for case in cases} == {"cu12.8.1-py3.13", "cu13.1.1-py3.14"}


def test_the_suite_counts() -> None:
    describe_failure = suite(sample()).attrib
    assert describe_failure["name"] == "cslr-images"
    assert [describe_failure[key] for key in ("tests", "failures", "errors", "skipped")] == [
        "7",
        "2",
        "0",
        "2",
    ]
    assert (describe_failure["time"], describe_failure["timestamp"]) == ("779.000", "2026-11-22T04:00:00")


def test_a_failure_has_kind_message_tail_and_advice() -> None:
    failure = case(RAY_RUNTIME).find("failure")
    assert failure is not None
    assert failure.get("type") == "compile-error"
    assert failure.get("message") == "compile-error at wheels: scatter.cu(7): error: no such <T>"
    assert (failure.text or "").splitlines() == [
        "nvcc scatter.cu",
        "scatter.cu(7): error: no such <T>",
        "the compiler's first error stands above",
    ]


def test_a_cell_not_run_or_still_building_is_skipped_and_no_other() -> None:
    skipped = [
        case.get("name") for case in suite(sample()).iter("testcase") if case.find("skipped") is not None
    ]
    assert skipped == list(CELLS[-2:])


def test_a_good_cell_has_its_time_in_seconds_and_no_failure() -> None:
    assert case(DEVEL).get("time") == "168.000"
    assert [child.tag for child in case(RUNTIME)] == ["system-out"]


def test_problems_of_the_history_are_shown() -> None:
    assert suite(sample()).findtext("system-err") == PROBLEM


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_adds_no_element(text: str) -> None:
    report = said_everywhere(text)
    assert [child.tag for child in suite(report)] == ["testcase"] * len(report.rows) + ["system-err"]
    assert len(list(suite(report).iter("failure"))) == 1


@given(texts)
def test_any_text_gives_xml_that_can_be_read_and_says_it(text: str) -> None:
    plain = text.encode("utf-8", "ignore").decode()
    failure = Failure(kind="unknown", stage="torch", message="m", tail=(plain,))
    report = make_report(History((failed(DEVEL, failure),), (text,)), [DEVEL, f"cpu-py3.13-{text}"], now=text)
    found = suite(report).find("testcase/failure")
    assert found is not None
    # Reading XML turns a carriage return into a newline.
    assert (found.text or "") == escape_xml(plain).replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("char", ["\x00", "\x08", "\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_a_character_that_xml_forbids_goes(char: str) -> None:
    assert escape_xml(f"a{char}b") == "ab"


@pytest.mark.parametrize("char", ["\t", "\n", "\r", " ", "\x7f", "\ud7ff", "\ue000", "\ufffd", "\U00010000"])
def test_a_character_that_xml_allows_stays(char: str) -> None:
    assert escape_xml(f"a{char}b") == f"a{char}b"
