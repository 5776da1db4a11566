"""Render a report as JUnit XML for CI systems, with a test case for each cell."""

import re
from xml.etree import ElementTree as ET

from ci.history.failures import POLICIES
from ci.report.model import Report, Row, describe_failure

# Characters that XML 1.0 does not allow (production 2, Char), not even as numeric entities.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
    suite = ET.SubElement(
        root, "testsuite", totals | {"timestamp": strip_forbidden(report.now.removesuffix("Z"))}
    )
    for row in report.rows:
        suite.append(_case(row))
    if report.problems:
        ET.SubElement(suite, "system-err").text = strip_forbidden("\n".join(report.problems))
    ET.indent(root)
    # The declaration is written here: ElementTree would name the encoding of the machine.
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def strip_forbidden(text: str) -> str:
    """Remove the characters that an XML 1.0 document must not contain, escaped or not.

    >>> strip_forbidden("\\x1b[31mred")
    '[31mred'
    """
    return _FORBIDDEN.sub("", text)


def _case(row: Row) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": strip_forbidden(row.pair),
            "name": strip_forbidden(row.cell),
            "time": _seconds(row.seconds or 0.0),
        },
    )
    if row.status in ("not-run", "building"):
        ET.SubElement(
            case,
            "skipped",
            {"message": strip_forbidden(f"{row.status}: {row.notes}".removesuffix(": "))},
        )
    elif row.failure:
        failure = ET.SubElement(
            case,
            "failure",
            {"type": row.failure.kind, "message": strip_forbidden(describe_failure(row.failure))},
        )
        advice = POLICIES[row.failure.kind].advice
        failure.text = strip_forbidden("\n".join([*row.failure.tail, *([advice] if advice else [])]))
    elif row.notes:
        ET.SubElement(case, "system-out").text = strip_forbidden(row.notes)
    return case


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
