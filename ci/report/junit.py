"""Render a report as JUnit XML for CI systems, with a test case for each cell."""

from xml.etree import ElementTree as ET

from ci.history.failures import POLICIES
from ci.report.model import Report, Row, describe_failure
from ci.util.escape import escape_xml


def render_junit(report: Report) -> str:
    """Return the report as JUnit XML: the suite is `cslr-images`, the class name is the pair.

    A failed cell is a failure whose type is the kind of the failure; a cell that did not run, or is still building, is
    skipped. Times are in seconds.
    """
    counts = report.counts()
    totals = {
        "name": "cslr-images",
        "tests": str(len(report.rows)),
        "failures": str(counts["failed"]),
        "errors": "0",
        "skipped": str(counts["not-run"] + counts["building"]),
        "time": _seconds(report.seconds()),
    }
    root = ET.Element("testsuites", totals)
    suite = ET.SubElement(root, "testsuite", totals | {"timestamp": escape_xml(report.now.removesuffix("Z"))})
    for row in report.rows:
        suite.append(_case(row))
    if report.problems:
        ET.SubElement(suite, "system-err").text = escape_xml("\n".join(report.problems))
    ET.indent(root)
    # The declaration is written here: ElementTree would name the encoding of the machine.
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(row: Row) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": escape_xml(row.pair),
            "name": escape_xml(row.cell),
            "time": _seconds(row.seconds or 0.0),
        },
    )
    if row.status in ("not-run", "building"):
        ET.SubElement(
            case,
            "skipped",
            {"message": escape_xml(f"{row.status}: {row.notes}".removesuffix(": "))},
        )
    elif row.failure:
        failure = ET.SubElement(
            case,
            "failure",
            {"type": row.failure.kind, "message": escape_xml(describe_failure(row.failure))},
        )
        advice = POLICIES[row.failure.kind].advice
        failure.text = escape_xml("\n".join([*row.failure.tail, *([advice] if advice else [])]))
    elif row.notes:
        ET.SubElement(case, "system-out").text = escape_xml(row.notes)
    return case


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
