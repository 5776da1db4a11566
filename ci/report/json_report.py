"""Render a report as one versioned JSON document, equal for equal records."""

import json
from typing import Any

from ci.history.records import BuildRecord
from ci.report.model import Report, Row

SCHEMA = 1


def render_json(report: Report) -> str:
    """Return the report as JSON: sizes in bytes, durations in seconds, times in UTC (ISO 8601).

    `cells` has a row for each requested cell, in that order; `records` has the newest try of each cell that was ever
    tried, with the keys of the history. Unknown values are null.
    """
    # ASCII only: a lone surrogate, which a file in UTF-8 cannot hold, is escaped too.
    return json.dumps(report_to_dict(report), indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def report_to_dict(report: Report) -> dict[str, Any]:
    """Return the report as plain data, as the JSON document has it."""
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
