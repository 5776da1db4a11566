"""SVG: lengths and positions match the numbers."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.report import svg
from ci.report.charts import Bar, Piece, Sample

COLOURS = {"torch": 1, "conda": 2}


def bar(*values: float, elsewhere: str = "") -> Bar:
    """Return a bar with a part for each value, named torch, conda, other, …"""
    names = ("torch", "conda", *(f"other-{number}" for number in range(len(values))))
    parts = tuple(
        Piece(name, value, f"{value:g}", elsewhere) for name, value in zip(names, values, strict=False)
    )
    return Bar("cell", parts, f"{sum(values):g}")


def rects(markup: str) -> list[tuple[float, float, str]]:
    """Return place, length and class of each part."""
    found = re.findall(r'x="([\d.]+)" y="0" width="([\d.]+)" height="16" class="([^"]*)"', markup)
    return [(float(x), float(width), kind) for x, width, kind in found]


def test_parts_are_side_by_side_on_one_scale() -> None:
    markup = svg.stacked_bars([bar(30, 10), bar(10, 5, 5)], COLOURS, "size")
    assert rects(markup) == [
        (0, 750, "c1"),
        (750, 250, "c2"),
        (0, 250, "c1"),
        (250, 125, "c2"),
        (375, 125, "c0"),
    ]


def test_a_part_built_elsewhere_is_hollow_and_says_where() -> None:
    markup = svg.stacked_bars([bar(5, elsewhere="cell-2")], COLOURS, "time")
    assert rects(markup) == [(0, 1000, "c1 shared")]
    assert "<title>torch 5 (shared with cell-2)</title>" in markup


@pytest.mark.parametrize("values", [(), (0,), (0, 0)])
def test_nothing_is_drawn_of_nothing(values: tuple[float, ...]) -> None:
    markup = svg.stacked_bars([bar(*values)], COLOURS, "size")
    assert rects(markup) == []
    assert 'aria-label="size of cell: 0' in markup


@given(st.lists(st.lists(st.integers(0, 10**14), max_size=6), min_size=1, max_size=6))
def test_no_bar_is_longer_than_its_place(values: list[list[int]]) -> None:
    for x, width, _ in rects(svg.stacked_bars([bar(*each) for each in values], COLOURS, "size")):
        assert 0 <= x <= x + width <= 1000.02


def test_the_legend_explains_colours_greys_and_hollow_parts() -> None:
    words = re.sub(r"<[^>]*>", "|", svg.legend([bar(3, 2, 1, 1, elsewhere="x")], COLOURS))
    assert [word for word in words.split("|") if word] == [
        "torch",
        "conda",
        "2 smaller ones",
        "hollow: built for another cell, and shared",
    ]
    assert "hollow" not in svg.legend([bar(3)], COLOURS)
    assert "smaller" not in svg.legend([bar(3)], COLOURS)


def samples(*values: float | None) -> list[Sample]:
    """Return tries; None is a failed one."""
    return [Sample(value, "failed" if value is None else f"{value:g}", value is None) for value in values]


def test_a_sparkline_rises_with_its_values() -> None:
    markup = svg.sparkline(samples(1, 2, 4), "size")
    ys = [float(y) for y in re.findall(r'cy="([\d.]+)"', markup)]
    xs = [float(x) for x in re.findall(r'cx="([\d.]+)"', markup)]
    assert ys == sorted(ys, reverse=True)
    assert len(set(ys)) == 3
    assert [b - a for a, b in pairwise(xs)] == [93, 93]
    assert markup.count("<polyline") == 1


def test_a_failed_try_is_a_cross_and_no_point_of_the_line() -> None:
    markup = svg.sparkline(samples(1, None, 2), "size")
    assert markup.count('class="cross"') == 1
    assert markup.count("<circle") == 2
    line = re.search(r'polyline points="([^"]*)"', markup)
    assert line
    assert len(line[1].split()) == 2


def test_a_failed_try_is_a_cross_even_when_it_has_a_value() -> None:
    markup = svg.sparkline([Sample(5.0, "failed", True)], "time")
    assert "circle" not in markup
    assert 'class="cross"' in markup


def test_one_try_is_one_dot_in_the_middle() -> None:
    markup = svg.sparkline(samples(7), "size")
    assert 'cx="100"' in markup
    assert "polyline" not in markup


def test_the_name_says_every_try() -> None:
    description = "size, oldest first: 1; failed; 2"
    assert f'aria-label="{description}"' in svg.sparkline(samples(1, None, 2), "size")


@given(st.lists(st.none() | st.floats(0, 1e12), max_size=30))
def test_all_marks_stay_inside(values: list[float | None]) -> None:
    markup = svg.sparkline(samples(*values), "size")
    assert "nan" not in markup
    assert "inf" not in markup.replace("infinity", "")
    for x, y in re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', markup):
        assert 0 <= float(x) <= 200
        assert 0 <= float(y) <= 44


def test_a_try_without_a_value_that_did_not_fail_is_no_mark() -> None:
    markup = svg.sparkline([*samples(1), Sample(None, "not measured", False), *samples(3)], "size")
    assert markup.count("<circle") == 2
    assert "cross" not in markup
