"""extensions/limits.py: what a machine and its control group grant."""

import pytest

from extensions import limits

GB = 1_000_000_000
MEMINFO = "MemTotal:       25000000 kB\nMemFree:         1000000 kB\nMemAvailable:   16000000 kB\n"


@pytest.mark.parametrize(
    ("limit", "current", "stat", "expected"),
    [
        ("", "", "", 16_384_000_000),
        ("max\n", "4096\n", "", 16_384_000_000),
        (f"{8 * GB}\n", f"{GB}\n", "", 7 * GB),
        (f"{8 * GB}\n", f"{6 * GB}\n", f"anon {GB}\nfile {5 * GB}\ninactive_file {4 * GB}\nactive_file {GB}\n", 7 * GB),
        (f"{GB}\n", f"{2 * GB}\n", "", 0),
        (f"{99 * GB}\n", "0\n", "", 16_384_000_000),
    ],
)  # fmt: skip
def test_memory_is_the_lesser_of_machine_and_control_group(
    limit: str, current: str, stat: str, expected: int
) -> None:
    assert limits.available_memory(MEMINFO, limit, current, stat) == expected


@pytest.mark.parametrize(
    ("affinity", "cpu_max", "expected"),
    [
        (8, "", 8),
        (8, "max 100000\n", 8),
        (8, "200000 100000\n", 2),
        (8, "50000 100000", 1),
        (2, "800000 100000", 2),
    ],
)
def test_cores_are_those_that_the_control_group_grants(affinity: int, cpu_max: str, expected: int) -> None:
    assert limits.cores(affinity, cpu_max) == expected


def test_this_machine_grants_something() -> None:
    room = limits.room_here()
    assert room.cores >= 1
    assert room.memory > 0
