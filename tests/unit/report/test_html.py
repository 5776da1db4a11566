"""The HTML report: complete, self-contained, and deaf to what records say."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from hypothesis import given

from ci.history.history import History
from ci.report.html import embed_json, render_html
from ci.report.json_report import report_to_dict
from ci.report.markup import Markup, element, raw_element
from ci.report.model import Report, make_report
from ci.util.escape import escape_html
from tests.unit.sample_histories import (
    CELLS,
    DEVEL,
    HOSTILE,
    MARIMO_RUNTIME,
    NOW,
    PROBLEM,
    RAY_RUNTIME,
    RUNTIME,
    said_everywhere,
    sample,
)
from tests.unit.user_errors import texts

VOID = {"meta", "input", "br", "link"}
Attributes = dict[str, str]


class Page(HTMLParser):
    """Reads a page into its elements, checks that each ends where it should, and keeps the text."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.elements: list[tuple[str, Attributes]] = []
        self.words: dict[int, str] = {}
        self.open: list[int] = []
        self.feed(render_html(report))
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        self.words[len(self.elements) - 1] = ""
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for place in self.open:
            self.words[place] += data

    def all(self, name: str, **wanted: str) -> list[tuple[Attributes, str]]:
        """Return the elements of a name whose attributes hold what is wanted, with all text inside."""
        return [
            (attributes, self.words[place])
            for place, (tag, attributes) in enumerate(self.elements)
            if tag == name and all(value in attributes.get(key, "").split() for key, value in wanted.items())
        ]

    def text(self, name: str, **wanted: str) -> str:
        """Return the text of the one element that is wanted."""
        ((_, words),) = self.all(name, **wanted)
        return words


def shape(report: Report) -> list[str]:
    """Return the names of all elements in order."""
    return [name for name, _ in Page(report).elements]


PAGE = Page(sample())
STYLE = resources.files("ci.report").joinpath("page.css").read_text("utf-8")


def test_the_headline_counts_each_status() -> None:
    tiles = [words for _, words in PAGE.all("li", **{"class": "tile"})]
    assert tiles[:5] == ["2 ✓ ok", "1 ! warning", "2 ✗ failed", "1 … building", "1 · not-run"]
    assert tiles[5:] == ["13.0 min of building, added up", "80.7 GB of images, added up"]


def test_the_grid_has_pairs_as_rows_and_targets_as_columns_and_a_glyph_in_each_cell() -> None:
    grid = PAGE.text("table", **{"class": "grid"})
    assert grid.startswith("develruntimeray-develray-runtimemarimo-develmarimo-runtimecu12.8.1-py3.13")
    links = [(attributes["title"], words) for attributes, words in PAGE.all("a")]
    assert [title for title, _ in links] == [f"{row.cell}: {row.status}" for row in sample().rows]
    assert [words[0] for _, words in links] == list("✓✓✗✗!·…")
    assert len(PAGE.all("td", **{"class": "none"})) == 5


def test_each_link_leads_to_an_element_and_every_id_is_unique() -> None:
    ids = [attributes["id"] for _, attributes in PAGE.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"].removeprefix("#") for attributes, _ in PAGE.all("a")} <= set(ids)


def test_each_cell_that_was_tried_has_details_and_those_of_failures_are_open() -> None:
    details = PAGE.all("details")
    assert len(details) == len(CELLS) - 1
    assert sum("open" in attributes for attributes, _ in details) == 2
    assert not any(MARIMO_RUNTIME in words for _, words in details)


def test_details_of_a_failure_hold_its_tail_command_and_advice() -> None:
    words = next(words for _, words in PAGE.all("details") if f"Details of {RAY_RUNTIME}" in words)
    assert "nvcc scatter.cu\nscatter.cu(7): error: no such <T>" in words
    assert "uv build torch_scatter (exit status 1)" in words
    assert "the compiler's first error stands above" in words
    assert "2026-11-15 02:10 UTC" in words


def test_details_of_an_image_hold_what_was_found_in_it() -> None:
    words = next(words for _, words in PAGE.all("details") if f"Details of {DEVEL}" in words)
    for part in (
        "registry.test/cslr:devel-cu128",
        "sha256:cdcd",
        "numpy2.4.0",
        "imports✓ passed",
        "package-20",
        "2. torch2.0 min3. wheels1.6 min, 67 objects: 66 with narrow headers, 1 with torch's own; 60 from ccache",
    ):
        assert part in words
    assert "package-05" not in words
    runtime = next(words for _, words in PAGE.all("details") if f"Details of {RUNTIME}" in words)
    assert f"train_step✓ passed in {DEVEL}" in runtime
    assert "imports✓ passedtrain_step" in runtime
    assert "3. verify1.5 min4. measure30 s" in runtime
    marimo = next(
        words for _, words in PAGE.all("details") if "Details of cu12.8.1-py3.13-marimo-devel" in words
    )
    assert "marimo_page✗ failed" in marimo
    assert "the page took 40 s" in marimo


def test_problems_of_the_history_are_shown_and_only_if_there_are_any() -> None:
    assert PROBLEM in PAGE.text("section", id="problems")
    assert not Page(make_report(History(), CELLS, now=NOW)).all("section", id="problems")


def test_an_empty_history_gives_a_whole_page() -> None:
    page = Page(make_report(History(), CELLS, now=NOW))
    assert "No layers are recorded yet." in page.text("section", id="sizes")
    assert "No try has ended yet." in page.text("section", id="history")
    assert len(page.all("a")) == len(CELLS)
    assert Page(make_report(History(), (), now=NOW)).text("h1") == "cslr-images"


def test_nothing_is_asked_of_another_place() -> None:
    for name, attributes in PAGE.elements:
        assert not {"src", "srcset", "action", "data", "poster", "background"} & set(attributes), name
        assert name not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import|https?:", STYLE)


def test_the_policy_allows_its_own_script_and_style_alone() -> None:
    policy = next(attributes["content"] for attributes, _ in PAGE.all("meta") if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; ")
    for name in ("style", "script"):
        text = next(words for attributes, words in PAGE.all(name) if "type" not in attributes)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert not any(
        "style" in attributes or any(key.startswith("on") for key in attributes)
        for _, attributes in PAGE.elements
    )


def test_the_script_finds_what_it_looks_for() -> None:
    script = resources.files("ci.report").joinpath("page.js").read_text("utf-8")
    wanted = re.findall(r'getElementById\("(\w+)"\)', script)
    assert sorted(wanted) == ["controls", "search", "table"]
    assert set(wanted) <= {attributes.get("id") for _, attributes in PAGE.elements}


def test_what_needs_the_script_is_hidden_without_it() -> None:
    ((attributes, words),) = PAGE.all("p", id="controls")
    assert "hidden" in attributes
    assert words == "Filter: "


def test_each_drawing_has_a_name_or_is_decoration() -> None:
    drawings = PAGE.all("svg")
    assert len(drawings) > 1
    for attributes, words in drawings:
        decoration = attributes.get("aria-hidden") == "true"
        assert decoration or (
            attributes["role"] == "img"
            and attributes["aria-label"]
            and words.startswith(attributes["aria-label"])
        )


def test_the_embedded_data_is_the_document() -> None:
    data = PAGE.text("script", id="data")
    assert json.loads(data) == json.loads(json.dumps(report_to_dict(sample())))
    assert not set("<>&") & set(data)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_no_element(text: str) -> None:
    assert shape(said_everywhere(text)) == shape(said_everywhere("harmless"))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_shows_as_itself(text: str) -> None:
    page = Page(said_everywhere(text))
    parse_machine = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
    assert page.all("pre")[0][1] == f"{parse_machine}\n{parse_machine}"
    assert page.text("section", id="problems").endswith(parse_machine)
    assert json.loads(page.text("script", id="data"))["problems"] == [text]


@given(texts)
def test_any_text_stays_inside_its_element_and_its_attribute(text: str) -> None:
    class One(HTMLParser):
        parse_machine: tuple[object, ...] = ()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.parse_machine += (tag, attrs)

        def handle_endtag(self, tag: str) -> None:
            self.parse_machine += (f"/{tag}",)

        def handle_data(self, data: str) -> None:
            self.parse_machine += (data,)

    printable = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
    reader = One()
    reader.feed(element("p", text, title=text))
    reader.close()
    assert reader.parse_machine == (
        "p",
        [("title", printable)],
        *([printable] if printable else []),
        "/p",
    )


@given(texts)
def test_any_text_can_be_embedded_and_the_page_encoded(text: str) -> None:
    report = make_report(History((), (text,)), [f"cpu-py3.13-{text}"], now=text)
    assert "<" not in embed_json(report)
    assert json.loads(embed_json(report))["problems"] == [text]
    render_html(report).encode()


def test_markup_is_not_escaped_twice_and_text_always_is() -> None:
    assert element("p", Markup("<b>x</b>"), "<b>") == "<p><b>x</b>&lt;b&gt;</p>"
    assert escape_html("a\u202eb\x1b\ud800") == "a\ufffdb\ufffd\ufffd"


@pytest.mark.parametrize("text", ["a</style>", "</SCRIPT >", "<!-- x"])
def test_text_that_could_end_a_raw_element_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in <script>"):
        raw_element("script", text)


# -- what the eye needs ----------------------------------------------------------------------------------


def themes() -> dict[str, dict[str, str]]:
    """Return the colours of each theme by name."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return {
        name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))
        for name, text in (("light", light), ("dark", dark))
    }


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (WCAG 2.2)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_the_standard_has_it() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_enough(theme: str) -> None:
    colours = themes()[theme]
    pairs = [(ink, ground) for ink in ("ink", "muted", "link") for ground in ("page", "card")]
    pairs += [(f"{status}-ink", status) for status in ("ok", "warning", "failed", "building", "not-run")]
    for ink, ground in pairs:
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_parts_of_bars_stand_out_from_their_ground(theme: str) -> None:
    colours = themes()[theme]
    for number in range(9):
        for ground in ("card", "page"):
            assert contrast(colours[f"c{number}"], colours[ground]) >= 3, (number, ground)


def test_both_themes_have_the_same_colours() -> None:
    assert themes()["light"].keys() == themes()["dark"].keys()
    used = set(re.findall(r"var\(--([\w-]+)\)", STYLE))
    assert used == set(themes()["light"])


def test_every_class_of_the_page_has_a_rule() -> None:
    used = {name for _, attributes in PAGE.elements for name in attributes.get("class", "").split()}
    assert used <= set(re.findall(r"\.([a-z][\w-]*)", STYLE))


def test_the_page_tells_what_an_image_is_made_of() -> None:
    page = render_html(sample())
    for words in ("Kinds of files", "Parts of ELF files", "GPU code", "sm_80"):
        assert words in page


def test_the_column_of_times_sorts_by_the_seconds() -> None:
    found = {
        attributes["data-sort"] for attributes, _ in PAGE.all("td") if attributes.get("data-label") == "time"
    }
    rows = sample().rows
    assert found == {str(row.seconds or 0) for row in rows}
    assert len(found) > 2


def test_the_end_of_an_output_can_be_scrolled_with_the_keyboard() -> None:
    assert {attributes["tabindex"] for attributes, _ in PAGE.all("pre")} == {"0"}
