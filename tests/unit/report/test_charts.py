"""Charts: layers, stages, packages and tries become named numbers."""

import pytest

from ci.history.history import History
from ci.history.records import LayerSize, NamedSize
from ci.report import charts
from ci.report.model import Row, make_report
from tests.unit.sample_histories import (
    BUILDING,
    CELLS,
    DEVEL,
    GB,
    HISTORY,
    NETWORK,
    NOW,
    RAY_RUNTIME,
    RUN,
    RUNTIME,
    TORCH,
    failed,
    image,
    record,
    sample,
)


def row(cell: str, history: History = HISTORY) -> Row:
    """Return the row of a cell."""
    return make_report(history, [cell], now=NOW, live=[RUN]).rows[0]


def test_layers_are_those_of_the_newest_image() -> None:
    bars = {bar.label: bar for bar in charts.layer_bars(sample().rows)}
    assert list(bars) == [CELLS[0], CELLS[1], CELLS[3], CELLS[4]]
    assert [(part.name, part.value) for part in bars[DEVEL].parts] == [
        (TORCH, 15 * GB),
        ("conda", 7.5 * GB),
        ("base", 3.75 * GB),
    ]
    assert (bars[DEVEL].note, bars[DEVEL].text) == ("", "26.2 GB")


def test_a_bar_of_an_older_image_has_its_date() -> None:
    bars = {bar.label: bar for bar in charts.layer_bars(sample().rows)}
    assert bars[RAY_RUNTIME].note == "image of 2026-11-15"


def test_a_failed_try_that_made_an_image_shows_its_own() -> None:
    history = History((*HISTORY.records, failed(DEVEL, NETWORK, **image(31.0))))
    newest = charts.newest_image(row(DEVEL, history))
    assert newest
    assert newest.size == 31 * GB
    assert charts.newest_image(row(BUILDING)) is None


def test_shared_stages_name_the_cell_that_ran_them() -> None:
    (bar,) = charts.stage_bars([row(RUNTIME)])
    assert [(part.name, part.value, part.elsewhere) for part in bar.parts] == [
        ("torch", 120.0, DEVEL),
        ("pack", 60.0, ""),
        ("verify", 90.0, ""),
        ("measure", 30.0, ""),
    ]
    assert bar.text == "5.0 min"


def test_the_largest_packages_come_first_and_are_few() -> None:
    names = [bar.label for bar in charts.package_bars(row(DEVEL))]
    assert names == [f"package-{number:02}" for number in range(20, 5, -1)]


def test_packages_of_one_size_are_ordered_by_name() -> None:
    packages = tuple(NamedSize(name=name, size=5) for name in ("b", "a"))
    history = History((record(DEVEL, packages=packages),))
    assert [bar.label for bar in charts.package_bars(row(DEVEL, history))] == ["a", "b"]


def test_series_keep_failed_tries() -> None:
    samples = charts.size_series(row(RAY_RUNTIME))
    assert [(point.value, point.failed) for point in samples] == [(20_600_000_000, False), (None, True)]
    assert samples[1].text == "2026-11-22: failed (compile-error), -"
    assert [point.value for point in charts.time_series(row(DEVEL))] == [1266.0, 168.0]


def test_series_show_the_last_tries() -> None:
    records = tuple(record(DEVEL, run=f"run-{number}", seconds=float(number)) for number in range(100))
    samples = charts.time_series(row(DEVEL, History(records)))
    assert [point.value for point in samples] == [float(number) for number in range(70, 100)]


def test_the_largest_parts_get_the_colours() -> None:
    layers = tuple(LayerSize(name=f"layer-{number}", size=number) for number in range(1, 12))
    bars = charts.layer_bars([row(DEVEL, History((record(DEVEL, layers=layers),)))])
    colours = charts.assign_colours(bars)
    assert list(colours.items()) == [(f"layer-{12 - number}", number) for number in range(1, 9)]


@pytest.mark.parametrize("name", ["torch", "sha256:", "sha256:abc", "0123456789abcdef", "\u0663" * 64])
def test_a_name_that_is_no_digest_stays(name: str) -> None:
    assert charts.shorten_digest(name) == name


def test_a_digest_is_cut() -> None:
    assert charts.shorten_digest(TORCH) == "abababababab"
