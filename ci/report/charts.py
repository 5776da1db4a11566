"""Compute the data of the charts: layers, stages, packages and tries of the rows."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ci.history.records import BuildRecord
from ci.report.model import Row
from ci.util.units import format_date, format_duration, format_size

COLOURS = 8  # as many as people can distinguish; further parts share a grey
PACKAGES = 15
TRIES = 30


@dataclass(frozen=True)
class Piece:
    """One part of a bar.

    `text` is its value for people, `elsewhere` the other cell that it was built for, if any.
    """

    name: str
    value: float
    text: str
    elsewhere: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar of a chart with its parts; `text` is their sum for people, `note` a remark."""

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
    """One try in a series of tries: its value if it has one, and its description."""

    value: float | None
    text: str
    failed: bool


def layer_bars(rows: Iterable[Row]) -> tuple[Bar, ...]:
    """Return a bar of layers, in bytes on disk, for each cell whose layers are known.

    The layers are those of the newest image, which may be older than the newest try.
    """
    return tuple(_layer_bar(row, image) for row in rows if (image := newest_image(row)) and image.layers)


def stage_bars(rows: Iterable[Row]) -> tuple[Bar, ...]:
    """Return a bar of stages, in seconds, for each cell whose newest try ran stages."""
    return tuple(_stage_bar(row, row.record) for row in rows if row.record and row.record.stages)


def package_bars(row: Row) -> tuple[Bar, ...]:
    """Return a bar for each of the largest packages in a cell's newest image, largest first."""
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


def size_series(row: Row) -> tuple[Sample, ...]:
    """Return the image sizes, in bytes, of a cell's last tries."""
    return tuple(_sample(record, record.size, format_size(record.size)) for record in row.tries[-TRIES:])


def time_series(row: Row) -> tuple[Sample, ...]:
    """Return the durations, in seconds, of a cell's last tries."""
    return tuple(
        _sample(record, record.seconds, format_duration(record.seconds)) for record in row.tries[-TRIES:]
    )


def newest_image(row: Row) -> BuildRecord | None:
    """Return a cell's newest record that describes an image; a failed try may have made one."""
    has_image = row.record is not None and (
        row.record.size is not None or row.record.layers or row.record.packages
    )
    return row.record if has_image else row.good


def assign_colours(bars: Iterable[Bar]) -> dict[str, int]:
    """Assign colours, from 1, to the parts with the largest sums; all others get the grey, 0."""
    sums: dict[str, float] = {}
    for bar in bars:
        for part in bar.parts:
            sums[part.name] = sums.get(part.name, 0.0) + part.value
    ordered = sorted(sums, key=lambda name: (-sums[name], name))
    return {name: number for number, name in enumerate(ordered[:COLOURS], 1)}


def shorten_digest(name: str) -> str:
    """Return a name for a legend: digests are cut to 12 digits, other names stay as they are.

    >>> shorten_digest("sha256:" + "ab" * 32), shorten_digest("torch")
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


def _sample(record: BuildRecord, value: float | None, text: str) -> Sample:
    failed = record.status == "failed"
    if failed:
        kind = f" ({record.failure.kind})" if record.failure else ""
        text = f"failed{kind}, {text}"
    return Sample(value, f"{format_date(record.started)}: {text}", failed)
