"""The report for machines: one JSON document, versioned, equal for equal records."""

import json
from typing import Any

from ci.history.records import BuildRecord
from ci.report.model import Report, Row

SCHEMA = 1


def document(report: Report) -> str:
    """Return the report as JSON; sizes are bytes, times are seconds, moments are UTC in ISO 8601.

    `cells` holds a row for each cell asked for, in that order; `records` holds the newest try of each cell that has
    one, with the keys of the history. A key is null where nothing is known.
    """
    # ASCII alone: half a surrogate, which no encoding of the file could hold, is escaped too.
    return json.dumps(contents(report), indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def contents(report: Report) -> dict[str, Any]:
    """Return what the document holds, as plain data."""
    return {
        "schema": SCHEMA,
        "generated": report.now,
        "summary": report.summary(),
        "counts": report.counts(),
        "size": report.size(),
        "unique_size": report.unique_size(),
        "seconds": report.seconds(),
        "cells": [_cell(row) for row in report.rows],
        "records": {row.cell: _record(row.record) for row in report.rows if row.record},
        "problems": list(report.problems),
    }


def _cell(row: Row) -> dict[str, Any]:
    return {
        "cell": row.cell,
        "pair": row.pair,
        "target": row.target,
        "status": row.status,
        "last_build": row.record.started if row.record else None,
        "last_good": row.good.started if row.good else None,
        "size": row.size,
        "compressed": row.compressed,
        "seconds": row.seconds,
        "tries": row.attempts,
        "notes": row.notes,
    }


def _record(record: BuildRecord) -> dict[str, Any]:
    return record.model_dump(mode="json", by_alias=True)
