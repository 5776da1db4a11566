"""Sizes, times and dates as people read them."""

GB = 1_000_000_000  # bytes
NONE = "-"  # nothing is known
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def human_size(size: int | None) -> str:
    """Return a size given in bytes; units are powers of ten, as disks and registries count.

    >>> human_size(8_000_000_000), human_size(120_400_000_000), human_size(None)
    ('8.0 GB', '120 GB', '-')
    """
    if size is None:
        return NONE
    if size < 1000:
        return f"{size} B"
    power = 1
    # As it is printed, not as it is: 999.9 MB would be "1000 MB".
    while power < len(_UNITS) and size / 1000**power >= 999.5:
        power += 1
    return f"{_short(size / 1000**power)} {_UNITS[power - 1]}"


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "try", "tries"), counted(18, "cell", "cells")
    ('1 try', '18 cells')
    """
    return f"{number} {one if number == 1 else many}"


def human_time(seconds: float | None) -> str:
    """Return a duration given in seconds.

    >>> human_time(288), human_time(35), human_time(0.44), human_time(None)
    ('4.8 min', '35 s', '0.4 s', '-')
    """
    if seconds is None:
        return NONE
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 59.95 * 60:
        return f"{seconds / 60:.1f} min"
    return f"{_short(seconds / 3600)} h"


def date(started: str) -> str:
    """Return the day, in UTC, of a moment in ISO 8601.

    >>> date("2026-11-22T02:00:00Z")
    '2026-11-22'
    """
    return started[:10]


def moment(started: str) -> str:
    """Return a moment in ISO 8601 to the minute; any other text as it is.

    >>> moment("2026-11-22T02:00:00Z")
    '2026-11-22 02:00 UTC'
    """
    if len(started) < 17 or started[10] != "T" or not started.endswith("Z"):
        return started
    return f"{started[:10]} {started[11:16]} UTC"


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
