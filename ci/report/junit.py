"""The report for CI systems: JUnit XML, a test case for each cell."""

import re
from xml.etree import ElementTree as ET

from ci.history.failures import POLICIES
from ci.report.model import Report, Row, told

# All that XML 1.0 allows (its production 2, Char); a number entity would not make the others legal.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: Report) -> str:
    """Return the report as JUnit XML: suite `cslr-images`, class name the pair, time in seconds.

    A failed cell is a failure whose type is the kind; a cell not run or still building is skipped.
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
    suite = ET.SubElement(root, "testsuite", totals | {"timestamp": legal(report.now.removesuffix("Z"))})
    for row in report.rows:
        suite.append(_case(row))
    if report.problems:
        ET.SubElement(suite, "system-err").text = legal("\n".join(report.problems))
    ET.indent(root)
    # The declaration by hand: ElementTree would name the machine's own encoding.
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def legal(text: str) -> str:
    """Return text without the characters that no XML 1.0 document may hold, escaped or not.

    >>> legal("\\x1b[31mred")
    '[31mred'
    """
    return _FORBIDDEN.sub("", text)


def _case(row: Row) -> ET.Element:
    case = ET.Element(
        "testcase",
        {"classname": legal(row.pair), "name": legal(row.cell), "time": _seconds(row.seconds or 0.0)},
    )
    if row.status in ("not-run", "building"):
        ET.SubElement(case, "skipped", {"message": legal(f"{row.status}: {row.notes}".removesuffix(": "))})
    elif row.failure:
        failure = ET.SubElement(
            case, "failure", {"type": row.failure.kind, "message": legal(told(row.failure))}
        )
        advice = POLICIES[row.failure.kind].advice
        failure.text = legal("\n".join([*row.failure.tail, *([advice] if advice else [])]))
    elif row.notes:
        ET.SubElement(case, "system-out").text = legal(row.notes)
    return case


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
