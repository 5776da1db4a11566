"""What the plots show: layers, stages, packages and tries of the rows, as numbers with names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ci.history.records import BuildRecord
from ci.report.model import Row
from ci.util.units import format_date, format_duration, format_size

COLOURS = 8  # as many as people tell apart; whatever comes after shares a grey
PACKAGES = 15
TRIES = 30


@dataclass(frozen=True)
class Piece:
    """One part of a bar: `text` is its value for people, `elsewhere` the cell that it was built for, if another."""

    name: str
    value: float
    text: str
    elsewhere: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar of a cell: its parts in order, their sum for people, and what must be said about it."""

    label: str
    parts: tuple[Piece, ...]
    text: str
    note: str = ""

    @property
    def total(self) -> float:
        """Return the sum of the parts."""
        return sum(part.value for part in self.parts)


@dataclass(frozen=True)
class Sample:
    """One try in a course over tries: its value, None where it has none, and how it is told."""

    value: float | None
    text: str
    failed: bool


def layer_bars(rows: Iterable[Row]) -> tuple[Bar, ...]:
    """Return a bar of layers, in bytes on disk, for each cell whose layers are known.

    They are those of the newest image: a try that failed since made none.
    """
    return tuple(_layer_bar(row, image) for row in rows if (image := newest_image(row)) and image.layers)


def stage_bars(rows: Iterable[Row]) -> tuple[Bar, ...]:
    """Return a bar of stages, in seconds, for each cell whose newest try ran any."""
    return tuple(_stage_bar(row, row.record) for row in rows if row.record and row.record.stages)


def package_bars(row: Row) -> tuple[Bar, ...]:
    """Return a bar for each of the largest packages of a cell's newest image, the largest first."""
    image = newest_image(row)
    ordered = sorted(image.packages, key=lambda package: (-package.size, package.name)) if image else []
    return tuple(
        Bar(
            package.name,
            (Piece(package.name, package.size, format_size(package.size)),),
            format_size(package.size),
        )
        for package in ordered[:PACKAGES]
    )


def size_course(row: Row) -> tuple[Sample, ...]:
    """Return a cell's image size, in bytes, over its last tries."""
    return tuple(_point(one, one.size, format_size(one.size)) for one in row.tries[-TRIES:])


def time_course(row: Row) -> tuple[Sample, ...]:
    """Return how long a cell's last tries took, in seconds."""
    return tuple(_point(one, one.seconds, format_duration(one.seconds)) for one in row.tries[-TRIES:])


def newest_image(row: Row) -> BuildRecord | None:
    """Return the newest record of a cell that tells about an image: a failed try may have made one."""
    told = row.record is not None and (
        row.record.size is not None or row.record.layers or row.record.packages
    )
    return row.record if told else row.good


def colours(bars: Iterable[Bar]) -> dict[str, int]:
    """Give the parts with the largest sums a colour each, from 1; a name without one shares the grey, 0."""
    sums: dict[str, float] = {}
    for bar in bars:
        for part in bar.parts:
            sums[part.name] = sums.get(part.name, 0.0) + part.value
    ordered = sorted(sums, key=lambda name: (-sums[name], name))
    return {name: number for number, name in enumerate(ordered[:COLOURS], 1)}


def short(name: str) -> str:
    """Return a name as it may stand in a legend: a digest is cut.

    >>> short("sha256:" + "ab" * 32), short("torch")
    ('abababababab', 'torch')
    """
    digest = re.fullmatch(r"(?:sha256:)?([0-9a-f]{12})[0-9a-f]{52}", name)
    return digest[1] if digest else name


def _layer_bar(row: Row, image: BuildRecord) -> Bar:
    parts = tuple(Piece(layer.name, layer.size, format_size(layer.size)) for layer in image.layers)
    note = "" if image is row.record else f"image of {format_date(image.started)}"
    return Bar(row.cell, parts, format_size(sum(layer.size for layer in image.layers)), note)


def _stage_bar(row: Row, record: BuildRecord) -> Bar:
    parts = tuple(
        Piece(stage.name, stage.seconds, format_duration(stage.seconds), stage.shared_with)
        for stage in record.stages
    )
    note = "" if record.status != "failed" else "failed"
    return Bar(row.cell, parts, format_duration(sum(stage.seconds for stage in record.stages)), note)


def _point(record: BuildRecord, value: float | None, text: str) -> Sample:
    failed = record.status == "failed"
    why = f"failed ({record.failure.kind})" if failed and record.failure else "failed"
    return Sample(value, f"{format_date(record.started)}: {f'{why}, {text}' if failed else text}", failed)
