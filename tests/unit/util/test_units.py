"""Units: sizes, durations and dates are written for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.util.units import (
    GB,
    format_count,
    format_date,
    format_duration,
    format_gb,
    format_mb,
    format_mb_change,
    format_size,
    format_time,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_499_000, "999 MB"),
        (999_500_000, "1.0 GB"),
        (8 * GB, "8.0 GB"),
        (99_949_000_000, "99.9 GB"),
        (99_950_000_001, "100 GB"),
        (360 * GB, "360 GB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes_for_people(size: int | None, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (35.0, "35 s"),
        (59.6, "1.0 min"),
        (288.0, "4.8 min"),
        (3597.5, "1.0 h"),
        (7560.0, "2.1 h"),
        (400_000.0, "111 h"),
    ],
)
def test_durations_for_people(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 cells"), (1, "1 cell"), (2, "2 cells")])
def test_numbers_with_their_noun(number: int, text: str) -> None:
    assert format_count(number, "cell", "cells") == text


@given(st.integers(0, 10**17), st.integers(0, 10**17))
def test_a_larger_size_never_reads_smaller(one: int, other: int) -> None:
    units = ["B", "kB", "MB", "GB", "TB", "PB"]

    def read(size: int) -> float:
        number, unit = format_size(size).split()
        return float(number) * 1000.0 ** units.index(unit)

    small, large = sorted((one, other))
    assert read(small) <= read(large)
    assert read(large) == pytest.approx(large, rel=0.051)


def test_times_and_dates() -> None:
    assert format_time("2026-11-22T02:03:04.5Z") == "2026-11-22 02:03 UTC"
    assert format_time("yesterday") == "yesterday"
    assert format_date("2026-11-22T02:03:04Z") == "2026-11-22"


def test_a_size_in_a_fixed_unit_keeps_that_unit() -> None:
    assert format_gb(40_000_000) == "0.0 GB"
    assert format_gb(8_045_000_000, 2) == "8.04 GB"
    assert format_mb(2 * GB) == "2,000.0 MB"


@pytest.mark.parametrize(
    ("change", "text"),
    [(0, "+0.0 MB"), (2 * GB, "+2,000.0 MB"), (-2 * GB, "-2,000.0 MB"), (49_000, "+0.0 MB")],
)
def test_a_change_of_a_size_has_its_sign(change: int, text: str) -> None:
    assert format_mb_change(change) == text
