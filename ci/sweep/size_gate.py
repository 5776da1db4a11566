"""Check the size of a built image against the size limits of the matrix."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ci.config.size_limits import SizeLimits
from ci.history.records import BuildRecord, Failure, NamedSize
from ci.util.units import GB, MB, format_gb, format_mb, format_mb_change

MIN_GROWTH = MB  # by which a package must have grown to be listed
MOST_PACKAGES = 10  # packages that are listed if none has grown, or if there is no earlier build


def check_size_limits(
    limits: SizeLimits, image: str, size: int, packages: Sequence[NamedSize], before: BuildRecord | None
) -> Failure | None:
    """Return a failure if an image of `size` bytes is too large, else None.

    Of the globs in `max_gb` that match the image's name, the most specific one applies: the one with the most
    characters that are not wildcards. `before` is the last good build. The failure lists the packages that have
    grown since, or else the largest ones.
    """
    details = tuple(_grown_packages(packages, before) or _largest_packages(packages))
    globs = [glob for glob in limits.max_gb if fnmatchcase(image, glob)]
    if globs:
        glob = max(globs, key=lambda glob: sum(char not in "*?" for char in glob))
        limit = limits.max_gb[glob]
        if size > limit * GB:
            message = f"{format_gb(size, 2)} on disk, more than the {limit:g} GB of gate {glob}"
            return Failure(kind="gate", stage="size", message=message, tail=details)
    growth = limits.growth_percent
    if growth is None or before is None or not before.size or size * 100 <= before.size * (100 + growth):
        return None
    percent = (size / before.size - 1) * 100
    message = (
        f"{format_gb(size, 2)} on disk, {percent:.1f} % more than in the last good build; "
        f"the gate is {growth:g} %"
    )
    return Failure(kind="gate", stage="size", message=message, tail=details)


def _grown_packages(packages: Sequence[NamedSize], before: BuildRecord | None) -> list[str]:
    if before is None:
        return []
    earlier = {package.name: package.size for package in before.packages}
    changes = [(package.size - earlier.get(package.name, 0), package.name) for package in packages]
    return [
        f"{name}: {format_mb_change(change)}"
        for change, name in sorted(changes, reverse=True)
        if change >= MIN_GROWTH
    ]


def _largest_packages(packages: Sequence[NamedSize]) -> list[str]:
    return [f"{package.name}: {format_mb(package.size)}" for package in packages[:MOST_PACKAGES]]
