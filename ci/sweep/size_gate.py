"""Check a built image against the size limits of the matrix."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ci.config.size_limits import SizeLimits
from ci.history.records import BuildRecord, Failure, NamedSize
from ci.util.units import GB, format_gb, format_mb, format_mb_change

LEAST = 1_000_000  # bytes by which a package must have grown to be named
LARGEST = 10  # packages that are named where none has grown, or nothing is known of before


def check_size_limits(
    limits: SizeLimits, image: str, size: int, packages: Sequence[NamedSize], before: BuildRecord | None
) -> Failure | None:
    """Return why an image is too large, with the packages that grew, or the largest; None if it is not.

    The narrowest glob that fits counts: that with the most characters that are no wildcards.
    """
    fitting = [glob for glob in limits.max_gb if fnmatchcase(image, glob)]
    grown = tuple(_grown(packages, before) or _largest(packages))
    if fitting:
        glob = max(fitting, key=lambda one: sum(char not in "*?" for char in one))
        limit = limits.max_gb[glob]
        if size > limit * GB:
            told = f"{format_gb(size, 2)} on disk, more than the {limit:g} GB of gate {glob}"
            return Failure(kind="gate", stage="size", message=told, tail=grown)
    growth = limits.growth_percent
    if growth is None or before is None or not before.size or size * 100 <= before.size * (100 + growth):
        return None
    percent = (size / before.size - 1) * 100
    told = f"{format_gb(size, 2)} on disk, {percent:.1f} % more than in the last good build; the gate is {growth:g} %"
    return Failure(kind="gate", stage="size", message=told, tail=grown)


def _grown(packages: Sequence[NamedSize], before: BuildRecord | None) -> list[str]:
    if before is None:
        return []
    known = {one.name: one.size for one in before.packages}
    changes = [(one.size - known.get(one.name, 0), one.name) for one in packages]
    return [
        f"{name}: {format_mb_change(change)}"
        for change, name in sorted(changes, reverse=True)
        if change >= LEAST
    ]


def _largest(packages: Sequence[NamedSize]) -> list[str]:
    return [f"{one.name}: {format_mb(one.size)}" for one in packages[:LARGEST]]
