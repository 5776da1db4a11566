"""Where an image's bytes are: by layer, package, kind of file, part of an ELF file and GPU architecture."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from ci.util.errors import UserError, one_line
from ci.util.model import FrozenModel
from ci.util.units import MB, format_mb, format_mb_change


class LayerSizes(FrozenModel):
    """The bytes of one layer; `rows` are (package, kind, bytes), the largest first.

    Packages are named by who manages them: `pip:torch`, `conda:python`, `debian:gcc-12`. Source: `programs/ledger.py`.
    """

    total: int
    packages: dict[str, int]
    kinds: dict[str, int]
    elf: dict[str, int]
    archs: dict[str, int]
    rows: tuple[tuple[str, str, int], ...] = ()


class SizeBreakdown(FrozenModel):
    """The bytes of an image by what they are for; `rows` are (layer, package, kind, bytes), the largest first.

    A file that a layer replaces counts in both, as it does on the disk of whoever pulls the image.
    """

    total: int
    layers: dict[str, int]
    packages: dict[str, int]
    kinds: dict[str, int]
    elf: dict[str, int]
    archs: dict[str, int]
    rows: tuple[tuple[str, str, str, int], ...] = ()


def combine_layers(parts: Mapping[str, LayerSizes]) -> SizeBreakdown:
    """Add up the layers of an image, by their names from the lowest up."""
    rows = [(name, *row) for name, part in parts.items() for row in part.rows]
    return SizeBreakdown(
        total=sum(part.total for part in parts.values()),
        layers={name: part.total for name, part in parts.items()},
        packages=_added(part.packages for part in parts.values()),
        kinds=_added(part.kinds for part in parts.values()),
        elf=_added(part.elf for part in parts.values()),
        archs=_added(part.archs for part in parts.values()),
        rows=tuple(sorted(rows, key=lambda row: (-row[-1], row))),
    )


def _added(tables: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for table in tables:
        found.update(table)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def read_sizes(text: str, name: str) -> SizeBreakdown:
    """Read what `size --format json` printed.

    Raises:
        UserError: it is something else.
    """
    try:
        # JSON has no tuples: rows are lists there.
        return SizeBreakdown.model_validate(json.loads(text), strict=False)
    except ValueError as error:
        why = one_line(str(error))[:200]
        raise UserError(f"{name}: not sizes as `size --format json` prints them: {why}") from None


def document(found: SizeBreakdown) -> str:
    """Return a ledger for programs."""
    return str(found.model_dump_json(indent=1)) + "\n"


def text(found: SizeBreakdown, *, top: int = 20) -> str:
    """Return a ledger for people: MB are 10^6 bytes."""
    lines = [f"{format_mb(found.total)} in all"]
    tables = (
        ("layer", found.layers),
        ("package", found.packages),
        ("kind of file", found.kinds),
        ("part of ELF files", found.elf),
        ("GPU architecture", found.archs),
    )
    for title, table in tables:
        if not table:
            continue
        largest = list(table.items())[:top]
        width = max(len(title), *(len(name) for name, _ in largest))
        lines += ["", f"{title:{width}}  {'MB':>9}"]
        lines += [f"{name:{width}}  {size / MB:9,.1f}" for name, size in largest]
        if rest := sum(table.values()) - sum(size for _, size in largest):
            lines.append(f"{f'{len(table) - len(largest)} others':{width}}  {rest / MB:9,.1f}")
    return "\n".join(lines) + "\n"


def package_changes(
    before: SizeBreakdown, after: SizeBreakdown, *, least: int = 100_000
) -> list[tuple[str, int]]:
    """Return by how many bytes each package changed, the largest change first, without those below `least`."""
    names = dict.fromkeys([*after.packages, *before.packages])
    changes = [(name, after.packages.get(name, 0) - before.packages.get(name, 0)) for name in names]
    return sorted((one for one in changes if abs(one[1]) >= least), key=lambda one: (-abs(one[1]), one[0]))


def difference(before: SizeBreakdown, after: SizeBreakdown) -> str:
    """Tell what changed between two images, for people."""
    change = after.total - before.total
    lines = [f"{format_mb(before.total)} before, {format_mb(after.total)} after: {format_mb_change(change)}"]
    rows = [(f"package {name}", size) for name, size in package_changes(before, after)]
    for title, old, new in (("kind", before.kinds, after.kinds), ("ELF", before.elf, after.elf)):
        names = dict.fromkeys([*new, *old])
        rows += [(f"{title}: {name}", new.get(name, 0) - old.get(name, 0)) for name in names]
    width = max((len(name) for name, _ in rows), default=0)
    lines += [f"{name:{width}}  {size / MB:+9,.1f}" for name, size in rows if abs(size) >= 100_000]
    return "\n".join(lines) + "\n"
