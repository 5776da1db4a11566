"""Bars and courses as inline SVG: no script, no style attribute; colours are classes of the page's style sheet.

A bar's SVG is stretched to the room there is, so no text stands inside: words are HTML around it and keep their size
on a narrow screen. What a pointer shows as a title is in the accessible name as well.
"""

from collections.abc import Mapping, Sequence

from ci.report.charts import Bar, Piece, Sample, short
from ci.report.markup import Markup, element, joined

_WIDE = 1000.0  # units of a bar at full length
_HIGH = 16
_SPARK = (200.0, 44.0)
_EDGE = 7.0


def stacked(bars: Sequence[Bar], colours: Mapping[str, int], title: str) -> Markup:
    """Return bars under each other, all on one scale; `title` says what they measure."""
    longest = max((bar.total for bar in bars), default=0.0)
    return element("div", *(_row(bar, longest, colours, title) for bar in bars), class_="bars")


def legend(bars: Sequence[Bar], colours: Mapping[str, int]) -> Markup:
    """Return what the colours mean, the largest first, and what a hollow part is where there is one."""
    items = [_key(f"c{number}", short(name)) for name, number in colours.items()]
    names = {part.name for bar in bars for part in bar.parts}
    if names - colours.keys():
        items.append(_key("c0", f"{len(names - colours.keys())} smaller ones"))
    if any(part.elsewhere for bar in bars for part in bar.parts):
        items.append(_key("c0 shared", "hollow: built for another cell, and shared"))
    return element("ul", *items, class_="legend")


def spark(points: Sequence[Sample], title: str) -> Markup:
    """Return a course over tries, oldest left: a line through the values, a cross at the foot for each failed try."""
    wide, high = _SPARK
    known = [point.value for point in points if point.value is not None and not point.failed]
    low, top = min(known, default=0.0), max(known, default=0.0)
    step = (wide - 2 * _EDGE) / max(1, len(points) - 1)
    drawn: list[Markup] = []
    line: list[str] = []
    for number, point in enumerate(points):
        x = _EDGE + number * step if len(points) > 1 else wide / 2
        if point.failed:
            drawn.append(_cross(x, high - _EDGE, point.text))
        elif point.value is not None:
            share = (point.value - low) / (top - low) if top > low else 0.5
            y = high - 2.4 * _EDGE - share * (high - 3.4 * _EDGE)
            line.append(f"{_number(x)},{_number(y)}")
            drawn.append(_dot(x, y, point.text))
    path = [element("polyline", points=" ".join(line), class_="course")] if len(line) > 1 else []
    said = f"{title}, oldest first: {'; '.join(point.text for point in points)}"
    return element(
        "svg",
        element("title", said),
        *path,
        *drawn,
        class_="spark",
        viewBox=f"0 0 {_number(wide)} {_number(high)}",
        role="img",
        aria_label=said,
    )


def _row(bar: Bar, longest: float, colours: Mapping[str, int], title: str) -> Markup:
    said = f"{title} of {bar.label}: {bar.text}"
    if len(bar.parts) > 1:
        said += f"; {', '.join(_told(part) for part in bar.parts)}"
    drawn: list[Markup] = []
    x = 0.0
    for part in bar.parts:
        width = part.value / longest * _WIDE if longest else 0.0
        if width:
            drawn.append(_part(part, x, width, colours))
        x += width
    svg = element(
        "svg",
        element("title", said),
        *drawn,
        viewBox=f"0 0 {_number(_WIDE)} {_HIGH}",
        preserveAspectRatio="none",
        role="img",
        aria_label=said,
    )
    note = [element("small", f" {bar.note}")] if bar.note else []
    label = element("span", short(bar.label), *note, class_="label")
    return element("div", label, svg, element("span", bar.text, class_="total"), class_="bar")


def _part(part: Piece, x: float, width: float, colours: Mapping[str, int]) -> Markup:
    kind = f"c{colours.get(part.name, 0)}{' shared' if part.elsewhere else ''}"
    title = element("title", _told(part))
    return element("rect", title, x=_number(x), y=0, width=_number(width), height=_HIGH, class_=kind)


def _told(part: Piece) -> str:
    shared = f" (shared with {part.elsewhere})" if part.elsewhere else ""
    return f"{short(part.name)} {part.text}{shared}"


def _key(kind: str, words: str) -> Markup:
    swatch = element(
        "svg",
        element("rect", x=1, y=1, width=12, height=12, class_=kind),
        viewBox="0 0 14 14",
        class_="swatch",
        aria_hidden="true",
    )
    return element("li", swatch, joined([words]))


def _dot(x: float, y: float, text: str) -> Markup:
    return element("circle", element("title", text), cx=_number(x), cy=_number(y), r=2.5, class_="dot")


def _cross(x: float, y: float, text: str) -> Markup:
    left, right, up, down = (_number(value) for value in (x - 3.5, x + 3.5, y - 3.5, y + 3.5))
    path = f"M{left} {up}L{right} {down}M{left} {down}L{right} {up}"
    return element("path", element("title", text), d=path, class_="cross")


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
