"""Format sizes, durations and dates for people; sizes are in bytes, durations in seconds."""

MB = 1_000_000  # bytes
GB = 1_000_000_000  # bytes
UNKNOWN = "-"
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def format_size(size: int | None) -> str:
    """Return a size with three digits at most, in decimal units as registries count.

    >>> format_size(8_000_000_000), format_size(120_400_000_000), format_size(None)
    ('8.0 GB', '120 GB', '-')
    """
    if size is None:
        return UNKNOWN
    if size < 1000:
        return f"{size} B"
    power = 1
    # As it is printed, not as it is: 999.9 MB would be "1000 MB".
    while power < len(_UNITS) and size / 1000**power >= 999.5:
        power += 1
    return f"{_short(size / 1000**power)} {_UNITS[power - 1]}"


def format_gb(size: float, digits: int = 1) -> str:
    """Return a size in GB, whatever its magnitude, so that sizes can be compared.

    >>> format_gb(8_040_000_000), format_gb(8_045_000_000, 2)
    ('8.0 GB', '8.04 GB')
    """
    return f"{size / GB:.{digits}f} GB"


def format_mb(size: float) -> str:
    """Return a size in MB with separators of thousands.

    >>> format_mb(8_045_100_000)
    '8,045.1 MB'
    """
    return f"{size / MB:,.1f} MB"


def format_mb_change(change: float) -> str:
    """Return a difference of two sizes in MB, with its sign.

    >>> format_mb_change(30_000_000), format_mb_change(-1_500_000)
    ('+30.0 MB', '-1.5 MB')
    """
    return f"{change / MB:+,.1f} MB"


def format_count(number: int, singular: str, plural: str) -> str:
    """Return a number with its noun.

    >>> format_count(1, "try", "tries"), format_count(18, "cell", "cells")
    ('1 try', '18 cells')
    """
    return f"{number} {singular if number == 1 else plural}"


def format_duration(seconds: float | None) -> str:
    """Return a duration in the unit that suits it.

    >>> format_duration(288), format_duration(35), format_duration(0.44), format_duration(None)
    ('4.8 min', '35 s', '0.4 s', '-')
    """
    if seconds is None:
        return UNKNOWN
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 59.95 * 60:
        return f"{seconds / 60:.1f} min"
    return f"{_short(seconds / 3600)} h"


def format_date(time: str) -> str:
    """Return the day, in UTC, of a time in ISO 8601.

    >>> format_date("2026-11-22T02:00:00Z")
    '2026-11-22'
    """
    return time[:10]


def format_time(time: str) -> str:
    """Return a time in ISO 8601 to the minute; other text is returned as it is.

    >>> format_time("2026-11-22T02:00:00Z")
    '2026-11-22 02:00 UTC'
    """
    if len(time) < 17 or time[10] != "T" or not time.endswith("Z"):
        return time
    return f"{time[:10]} {time[11:16]} UTC"


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
