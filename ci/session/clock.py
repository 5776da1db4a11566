"""Read the clock for run ids, records and reports."""

from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time, UTC in ISO 8601: `2026-11-22T02:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
