"""Render a report as one HTML file that contains its style, script, charts and data."""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib import resources

from ci.history.failures import POLICIES
from ci.history.records import BuildRecord
from ci.report import charts, svg
from ci.report.json_report import report_to_dict
from ci.report.markup import Markup, element, join, raw_element
from ci.report.model import GLYPHS, MEANINGS, STATUSES, Report, Row, describe_failure, describe_stage
from ci.util.units import format_count, format_duration, format_size, format_time

_HEAD = ("cell", "status", "last build", "size", "compressed", "time", "tries", "notes")
_SORTED = {"size", "compressed", "time", "tries"}


def render_html(report: Report, title: str = "cslr-images") -> str:
    """Return the report as an HTML document for a file in UTF-8; it loads nothing from anywhere."""
    style, script = _read_asset("page.css"), _read_asset("page.js")
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        # A second defence behind the escaping: only this style and this script are active, and nothing is loaded.
        element("meta", http_equiv="Content-Security-Policy", content=_security_policy(style, script)),
        element("title", f"{title}: {report.summary()}"),
        raw_element("style", style),
    ]
    main = [
        _header(report, title),
        _problems(report),
        _grid(report),
        _cells(report),
        _sizes(report),
        _times(report),
        _history(report),
    ]
    body = [
        element("main", *main),
        raw_element("script", embed_json(report), type="application/json", id="data"),
        raw_element("script", script),
    ]
    return f"<!doctype html>\n{element('html', element('head', *head), element('body', *body), lang='en')}\n"


def embed_json(report: Report) -> str:
    """Return the report's JSON for a `script` element, with HTML's characters escaped."""
    text = json.dumps(report_to_dict(report), sort_keys=True, ensure_ascii=True)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _read_asset(name: str) -> str:
    return resources.files("ci.report").joinpath(name).read_text("utf-8")


def _security_policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; base-uri 'none'"


def _header(report: Report, title: str) -> Markup:
    tiles = [
        element(
            "li",
            element("b", str(count)),
            f" {GLYPHS[status]} {status}",
            class_=f"tile {status}",
            title=MEANINGS[status],
        )
        for status, count in report.counts().items()
    ]
    tiles.append(
        element(
            "li", element("b", format_duration(report.seconds())), " of building, added up", class_="tile"
        )
    )
    tiles.append(
        element("li", element("b", format_size(report.size())), " of images, added up", class_="tile")
    )
    many = format_count(len(report.rows), "cell", "cells")
    return element(
        "header",
        element("h1", title),
        element("p", f"{many}, as of {format_time(report.now)}. Days are in UTC.", class_="muted"),
        element("ul", *tiles, class_="tiles"),
    )


def _problems(report: Report) -> Markup:
    if not report.problems:
        return Markup("")
    items = [element("li", problem) for problem in report.problems]
    return _section("problems", "Problems of the history", element("ul", *items))


def _grid(report: Report) -> Markup:
    targets = list(dict.fromkeys(row.target for row in report.rows))
    head = [element("td"), *(element("th", target, scope="col") for target in targets)]
    lines: list[Markup] = []
    for pair, rows in report.by_pair().items():
        by_target = {row.target: row for row in rows}
        cells = [
            _status_square(by_target[target]) if target in by_target else element("td", class_="none")
            for target in targets
        ]
        lines.append(element("tr", element("th", pair, scope="row"), *cells))
    legend = [
        element(
            "li", element("span", GLYPHS[status], class_=f"glyph {status}"), f" {status}: {MEANINGS[status]}"
        )
        for status in STATUSES
    ]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *lines), class_="grid")
    return _section("status", "Status", table, element("ul", *legend, class_="legend"))


def _status_square(row: Row) -> Markup:
    mark = element("span", GLYPHS[row.status], class_="mark", aria_hidden="true")
    target = element("span", row.target, class_="target")
    words = [element("span", row.status, class_="word"), element("span", row.date, class_="day")]
    link = element("a", mark, target, *words, href=f"#{_anchor(row)}", title=f"{row.cell}: {row.status}")
    return element("td", link, class_=row.status)


def _cells(report: Report) -> Markup:
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in _HEAD)))
    bodies = [_cell(row) for row in report.rows]
    search = element("input", type="search", id="search", placeholder="part of a cell, status or note")
    # Hidden until the script, which does the filtering, runs.
    controls = element("p", element("label", "Filter: ", search), id="controls", hidden="")
    return _section("cells", "Cells", controls, element("table", head, *bodies, class_="cells", id="table"))


def _cell(row: Row) -> Markup:
    values: dict[str, tuple[Markup | str, float | None]] = {
        "cell": (element("b", row.cell), None),
        "status": (element("span", f"{GLYPHS[row.status]} {row.status}", class_=f"glyph {row.status}"), None),
        "last build": (row.date, None),
        "size": (format_size(row.size), row.size or 0),
        "compressed": (format_size(row.compressed), row.compressed or 0),
        "time": (format_duration(row.seconds), row.seconds or 0),
        "tries": (str(row.attempts or ""), row.attempts),
        "notes": (row.notes, None),
    }
    cells = [
        element("td", value, data_label=name, data_sort=number, class_="number" if name in _SORTED else None)
        for name, (value, number) in values.items()
    ]
    line = element("tr", *cells)
    more = _details(row)
    if more:
        facts = element("div", *more, class_="facts")
        details = element(
            "details", element("summary", f"Details of {row.cell}"), facts, open="" if row.failure else None
        )
        line = join([line, element("tr", element("td", details, colspan=len(_HEAD)), class_="more")])
    return element("tbody", line, id=_anchor(row), data_status=row.status)


def _details(row: Row) -> list[Markup]:
    record = row.record
    if record is None:
        return []
    parts = [_failure(row)]
    facts = {
        "began": format_time(record.started),
        "run": f"{record.run}, try {record.attempt}",
        "plan": record.plan,
        "sources": record.sources,
        "digest": record.digest,
        "last good": format_time(row.good.started) if row.good and row.good is not record else "",
    }
    parts.append(_definition_list("Build", {name: value for name, value in facts.items() if value}))
    parts.append(_bullet_list("Published", record.published))
    parts.append(_bullet_list("Notes", record.notes))
    parts.append(_definition_list("Versions found in the image", dict(sorted(record.versions.items()))))
    parts.append(_definition_list("Checks", _checks(record)))
    image = charts.newest_image(row)
    if image:
        layers = {
            f"{number}. {charts.shorten_digest(layer.name)}": (
                f"{format_size(layer.size)}, compressed {format_size(layer.compressed)}"
            )
            for number, layer in enumerate(image.layers, 1)
        }
        parts.append(_definition_list("Layers", layers))
        tables = {"Kinds of files": image.kinds, "Parts of ELF files": image.elf, "GPU code": image.archs}
        parts += [
            _definition_list(title, {item.name: format_size(item.size) for item in sizes})
            for title, sizes in tables.items()
        ]
    stages = {
        f"{number}. {stage.name}": describe_stage(stage) for number, stage in enumerate(record.stages, 1)
    }
    parts.append(_definition_list("Stages", stages))
    parts.append(_packages(row))
    return [part for part in parts if part]


def _checks(record: BuildRecord) -> dict[str, str]:
    checks = {name: "✓ passed" if passed else "✗ failed" for name, passed in sorted(record.checks.items())}
    return checks | {
        name: f"{checks[name]} in {image}" for name, image in record.checked_in.items() if name in checks
    }


def _failure(row: Row) -> Markup:
    failure = row.failure
    if failure is None:
        return Markup("")
    lines = [element("p", element("b", describe_failure(failure)))]
    if POLICIES[failure.kind].advice:
        lines.append(element("p", POLICIES[failure.kind].advice))
    if failure.command:
        code = f" (exit status {failure.exit_code})" if failure.exit_code is not None else ""
        lines.append(element("p", element("code", failure.command), code))
    if failure.tail:
        lines.append(element("pre", "\n".join(failure.tail), tabindex=0, aria_label="the end of its output"))
    return element("div", element("h3", "Failure"), *lines, class_="failure")


def _packages(row: Row) -> Markup:
    bars = charts.package_bars(row)
    if not bars:
        return Markup("")
    # One colour for all: only the length matters.
    plot = svg.stacked_bars(bars, dict.fromkeys((bar.label for bar in bars), 1), "size")
    return element("div", element("h3", f"Largest packages (up to {charts.PACKAGES})"), plot, class_="wide")


def _sizes(report: Report) -> Markup:
    return _bars(
        "sizes", "Size by layer", charts.layer_bars(report.rows), "size", "No layers are recorded yet."
    )


def _times(report: Report) -> Markup:
    return _bars(
        "times", "Time by stage", charts.stage_bars(report.rows), "time", "No stages are recorded yet."
    )


def _bars(anchor: str, title: str, bars: Sequence[charts.Bar], measure: str, empty: str) -> Markup:
    if not bars:
        return _section(anchor, title, element("p", empty, class_="muted"))
    colours = charts.assign_colours(bars)
    return _section(anchor, title, svg.legend(bars, colours), svg.stacked_bars(bars, colours, measure))


def _history(report: Report) -> Markup:
    cards = [_history_card(row) for row in report.rows if row.tries]
    if not cards:
        return _section("history", "History", element("p", "No try has ended yet.", class_="muted"))
    text = f"Up to {charts.TRIES} tries of each cell, oldest left. Each line has a scale of its own; ✗ is a failed try."
    return _section(
        "history", "History", element("p", text, class_="muted"), element("div", *cards, class_="cards")
    )


def _history_card(row: Row) -> Markup:
    lines: list[Markup] = []
    for name, samples, last_good in (
        ("size", charts.size_series(row), format_size(row.good.size if row.good else None)),
        ("time", charts.time_series(row), format_duration(row.good.seconds if row.good else None)),
    ):
        label = element("span", f"{name}, last good: {last_good}")
        lines.append(element("figcaption", label))
        lines.append(svg.sparkline(samples, f"{name} of {row.cell}"))
    failed = sum(record.status == "failed" for record in row.tries)
    count = element("small", f" {format_count(len(row.tries), 'try', 'tries')}, {failed} failed")
    return element("figure", element("h3", row.cell, count), *lines, class_="card")


def _section(anchor: str, title: str, *children: str) -> Markup:
    return element(
        "section",
        element("h2", title, id=f"{anchor}-title"),
        *children,
        id=anchor,
        aria_labelledby=f"{anchor}-title",
    )


def _definition_list(title: str, values: dict[str, str]) -> Markup:
    if not values:
        return Markup("")
    lines = [join([element("dt", name), element("dd", value)]) for name, value in values.items()]
    return element("div", element("h3", title), element("dl", *lines))


def _bullet_list(title: str, values: Iterable[str]) -> Markup:
    items = [element("li", value) for value in values]
    return element("div", element("h3", title), element("ul", *items)) if items else Markup("")


def _anchor(row: Row) -> str:
    return f"cell-{row.cell}"
