"""Size limits: which one applies, and the packages that a failure lists."""

from collections.abc import Mapping

import pytest

from ci.config.size_limits import SizeLimits
from ci.history.records import BuildRecord, NamedSize
from ci.sweep.size_gate import check_size_limits

GB = 10**9
IMAGE = "cu12.8.1-py3.13-ray-runtime"


def packages(**sizes: int) -> tuple[NamedSize, ...]:
    """Name sizes."""
    return tuple(NamedSize(name=name, size=size) for name, size in sizes.items())


def record(size: int, **sizes: int) -> BuildRecord:
    """Return the record of a good build."""
    given = {"run": "one", "cell": IMAGE, "plan": "p", "sources": "s", "status": "ok"}
    given |= {"started": "2026-11-22T02:00:00Z"}
    return BuildRecord.model_validate(given | {"size": size, "packages": packages(**sizes)})


@pytest.mark.parametrize(
    ("limits", "size", "stopped"),
    [
        ({}, 100 * GB, False),
        ({"*-runtime": 8}, 8 * GB, False),
        ({"*-runtime": 8}, 8 * GB + 1, True),
        ({"*-devel": 8}, 9 * GB, False),
        ({"*-runtime": 8, "*-ray-runtime": 9}, 8 * GB + 1, False),
        ({"*": 20, "cu12.8.1-*": 8}, 9 * GB, True),
        # By characters that name something, not by length.
        ({"?????????????*": 20, "cu12.8.1-*": 8}, 9 * GB, True),
        ({"*????*????*": 20, "cu*": 8}, 9 * GB, True),
        ({"*-runtime@slim": 1}, 9 * GB, False),
    ],
)
def test_the_most_specific_limit_applies(limits: Mapping[str, float], size: int, *, stopped: bool) -> None:
    assert bool(check_size_limits(SizeLimits(max_gb=dict(limits)), IMAGE, size, (), None)) == stopped


@pytest.mark.parametrize(
    ("size", "stopped"), [(10 * GB, False), (10_500_000_000, False), (10_500_000_001, True)]
)
def test_growth_is_measured_against_the_last_good_build(size: int, *, stopped: bool) -> None:
    assert bool(check_size_limits(SizeLimits(growth_percent=5), IMAGE, size, (), record(10 * GB))) == stopped


def test_without_an_earlier_build_nothing_has_grown() -> None:
    assert check_size_limits(SizeLimits(growth_percent=5), IMAGE, 99 * GB, (), None) is None


def test_the_packages_that_grew_are_named_the_largest_growth_first() -> None:
    before = record(5 * GB, torch=10**9, ray=10**8, numpy=10**7)
    now = packages(torch=3 * 10**9, ray=10**8, new=5 * 10**8, numpy=10**7 + 10)
    failure = check_size_limits(SizeLimits(growth_percent=5), IMAGE, 8 * GB, now, before)
    assert failure
    assert failure.kind == "gate"
    assert failure.tail == ("torch: +2,000.0 MB", "new: +500.0 MB")
    assert "60.0 %" in failure.message


@pytest.mark.parametrize("before", [None, record(8 * GB, torch=3 * 10**9)])
def test_the_largest_packages_are_named_if_none_grew(before: BuildRecord | None) -> None:
    failure = check_size_limits(SizeLimits(max_gb={"*": 1}), IMAGE, 8 * GB, packages(torch=3 * 10**9), before)
    assert failure
    assert failure.tail == ("torch: 3,000.0 MB",)
