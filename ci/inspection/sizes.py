"""Break down an image's bytes by layer, package, kind of file, part of ELF files and GPU architecture."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from ci.util.errors import one_line
from ci.util.json_text import parse_json
from ci.util.model import FrozenModel, load_model
from ci.util.units import MB, format_mb, format_mb_change

Bytes = Annotated[int, Field(lt=2**63)]
# Names come from files in an image, or from a file of the user, and are shown in a terminal.
Text = Annotated[str, AfterValidator(one_line)]


class LayerSizes(FrozenModel):
    """The bytes of one layer, from `programs/measure_sizes.py`; `rows` are (package, kind, bytes), largest first.

    A package's name begins with its manager: `pip:torch`, `conda:python`, `debian:gcc-12`.
    """

    total: int
    packages: dict[str, int]
    kinds: dict[str, int]
    elf: dict[str, int]
    archs: dict[str, int]
    rows: tuple[tuple[str, str, int], ...] = ()


class SizeBreakdown(FrozenModel):
    """The bytes of an image; `rows` are (layer, package, kind, bytes), largest first.

    A file that a higher layer replaces counts in both layers, as it does on the disk of a machine that pulls the image.
    """

    total: Bytes
    layers: dict[Text, Bytes]
    packages: dict[Text, Bytes]
    kinds: dict[Text, Bytes]
    elf: dict[Text, Bytes]
    archs: dict[Text, Bytes]
    rows: tuple[tuple[Text, Text, Text, Bytes], ...] = ()


def combine_layers(layers: Mapping[str, LayerSizes]) -> SizeBreakdown:
    """Add up the layers of an image; `layers` maps names to sizes, from the lowest layer up."""
    rows = [(name, *row) for name, layer in layers.items() for row in layer.rows]
    return SizeBreakdown(
        total=sum(layer.total for layer in layers.values()),
        layers={name: layer.total for name, layer in layers.items()},
        packages=_add_tables(layer.packages for layer in layers.values()),
        kinds=_add_tables(layer.kinds for layer in layers.values()),
        elf=_add_tables(layer.elf for layer in layers.values()),
        archs=_add_tables(layer.archs for layer in layers.values()),
        rows=tuple(sorted(rows, key=lambda row: (-row[-1], row))),
    )


def _add_tables(tables: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add tables of bytes by name; the result has the largest first."""
    sums: Counter[str] = Counter()
    for table in tables:
        sums.update(table)
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def read_sizes(text: str, name: str) -> SizeBreakdown:
    """Read the text that `size --format json` printed; `name` is the file's, for the message.

    Raises:
        UserError: the text does not hold sizes.
    """
    name = f"{name}: not sizes as `size --format json` prints them"
    return load_model(parse_json(text, name), SizeBreakdown, name)


def serialize_sizes(sizes: SizeBreakdown) -> str:
    """Return sizes as JSON."""
    return str(sizes.model_dump_json(indent=1)) + "\n"


def format_sizes(sizes: SizeBreakdown, *, top: int = 20) -> str:
    """Format sizes as tables for people, each with its `top` largest rows; 1 MB is 10^6 bytes."""
    lines = [f"{format_mb(sizes.total)} in all"]
    tables = (
        ("layer", sizes.layers),
        ("package", sizes.packages),
        ("kind of file", sizes.kinds),
        ("part of ELF files", sizes.elf),
        ("GPU architecture", sizes.archs),
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
    """Return each package's change in bytes, largest first; changes below `least` bytes are left out."""
    names = dict.fromkeys([*after.packages, *before.packages])
    changes = [(name, after.packages.get(name, 0) - before.packages.get(name, 0)) for name in names]
    return sorted(
        (change for change in changes if abs(change[1]) >= least),
        key=lambda change: (-abs(change[1]), change[0]),
    )


def format_difference(before: SizeBreakdown, after: SizeBreakdown) -> str:
    """Format the difference between two images for people; changes below 0.1 MB are left out."""
    change = after.total - before.total
    lines = [f"{format_mb(before.total)} before, {format_mb(after.total)} after: {format_mb_change(change)}"]
    rows = [(f"package {name}", size) for name, size in package_changes(before, after)]
    for title, old, new in (("kind", before.kinds, after.kinds), ("ELF", before.elf, after.elf)):
        names = dict.fromkeys([*new, *old])
        rows += [(f"{title}: {name}", new.get(name, 0) - old.get(name, 0)) for name in names]
    width = max((len(name) for name, _ in rows), default=0)
    lines += [f"{name:{width}}  {size / MB:+9,.1f}" for name, size in rows if abs(size) >= 100_000]
    return "\n".join(lines) + "\n"
