"""Draw the charts as inline SVG, without scripts and style attributes.

Colours are classes of the page's style sheet. A bar's SVG is stretched to the available width, so its text is HTML
around it and keeps its size on a narrow screen. The titles that a pointer shows are in the accessible name too.
"""

from collections.abc import Mapping, Sequence

from ci.report.charts import Bar, Piece, Sample, shorten_digest
from ci.report.markup import Markup, element

_BAR_WIDTH = 1000.0  # of the longest bar
_BAR_HEIGHT = 16
_SPARKLINE_SIZE = (200.0, 44.0)
_MARGIN = 7.0


def stacked_bars(bars: Sequence[Bar], colours: Mapping[str, int], title: str) -> Markup:
    """Draw bars below each other, all on one scale; `title` names the measure."""
    longest = max((bar.total for bar in bars), default=0.0)
    return element("div", *(_row(bar, longest, colours, title) for bar in bars), class_="bars")


def legend(bars: Sequence[Bar], colours: Mapping[str, int]) -> Markup:
    """Draw the legend of the colours, largest part first, and of hollow parts if there are any."""
    items = [_legend_item(f"c{number}", shorten_digest(name)) for name, number in colours.items()]
    names = {part.name for bar in bars for part in bar.parts}
    if names - colours.keys():
        items.append(_legend_item("c0", f"{len(names - colours.keys())} smaller ones"))
    if any(part.elsewhere for bar in bars for part in bar.parts):
        items.append(_legend_item("c0 shared", "hollow: built for another cell, and shared"))
    return element("ul", *items, class_="legend")


def sparkline(samples: Sequence[Sample], title: str) -> Markup:
    """Draw tries as a line through their values, oldest left, with a cross for each failed one."""
    width, height = _SPARKLINE_SIZE
    known = [sample.value for sample in samples if sample.value is not None and not sample.failed]
    low, top = min(known, default=0.0), max(known, default=0.0)
    step = (width - 2 * _MARGIN) / max(1, len(samples) - 1)
    drawn: list[Markup] = []
    line: list[str] = []
    for number, sample in enumerate(samples):
        x = _MARGIN + number * step if len(samples) > 1 else width / 2
        if sample.failed:
            drawn.append(_cross(x, height - _MARGIN, sample.text))
        elif sample.value is not None:
            share = (sample.value - low) / (top - low) if top > low else 0.5
            y = height - 2.4 * _MARGIN - share * (height - 3.4 * _MARGIN)
            line.append(f"{_number(x)},{_number(y)}")
            drawn.append(_dot(x, y, sample.text))
    path = [element("polyline", points=" ".join(line), class_="course")] if len(line) > 1 else []
    description = f"{title}, oldest first: {'; '.join(sample.text for sample in samples)}"
    return element(
        "svg",
        element("title", description),
        *path,
        *drawn,
        class_="spark",
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        role="img",
        aria_label=description,
    )


def _row(bar: Bar, longest: float, colours: Mapping[str, int], title: str) -> Markup:
    description = f"{title} of {bar.label}: {bar.text}"
    if len(bar.parts) > 1:
        description += f"; {', '.join(_describe_part(part) for part in bar.parts)}"
    drawn: list[Markup] = []
    x = 0.0
    for part in bar.parts:
        width = part.value / longest * _BAR_WIDTH if longest else 0.0
        if width:
            drawn.append(_part(part, x, width, colours))
        x += width
    svg = element(
        "svg",
        element("title", description),
        *drawn,
        viewBox=f"0 0 {_number(_BAR_WIDTH)} {_BAR_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=description,
    )
    note = [element("small", f" {bar.note}")] if bar.note else []
    label = element("span", shorten_digest(bar.label), *note, class_="label")
    return element("div", label, svg, element("span", bar.text, class_="total"), class_="bar")


def _part(part: Piece, x: float, width: float, colours: Mapping[str, int]) -> Markup:
    kind = f"c{colours.get(part.name, 0)}{' shared' if part.elsewhere else ''}"
    title = element("title", _describe_part(part))
    return element("rect", title, x=_number(x), y=0, width=_number(width), height=_BAR_HEIGHT, class_=kind)


def _describe_part(part: Piece) -> str:
    shared = f" (shared with {part.elsewhere})" if part.elsewhere else ""
    return f"{shorten_digest(part.name)} {part.text}{shared}"


def _legend_item(kind: str, text: str) -> Markup:
    swatch = element(
        "svg",
        element("rect", x=1, y=1, width=12, height=12, class_=kind),
        viewBox="0 0 14 14",
        class_="swatch",
        aria_hidden="true",
    )
    return element("li", swatch, text)


def _dot(x: float, y: float, text: str) -> Markup:
    return element("circle", element("title", text), cx=_number(x), cy=_number(y), r=2.5, class_="dot")


def _cross(x: float, y: float, text: str) -> Markup:
    left, right, up, down = (_number(value) for value in (x - 3.5, x + 3.5, y - 3.5, y + 3.5))
    path = f"M{left} {up}L{right} {down}M{left} {down}L{right} {up}"
    return element("path", element("title", text), d=path, class_="cross")


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
