"""The status page, and its place in a document that people write."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ci.report.markdown import BEGIN, END, render_markdown, replace_table
from ci.util.errors import one_line
from ci.util.escape import escape_markdown
from tests.unit.sample_histories import CELLS, HOSTILE, PROBLEM, said_everywhere, sample
from tests.unit.user_errors import mistake, texts

FREE = st.text(st.characters(exclude_categories=["Cs"])).filter(
    lambda text: BEGIN not in text and END not in text
)


class Tables(HTMLParser):
    """Reads the text of each cell, row by row, and which elements there are."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.names: set[str] = set()
        self.inside = False
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.names.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def rendered(text: str) -> Tables:
    """Render Markdown as GitHub would, HTML let through."""
    return Tables(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))


PLAIN = {"p", "h3", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}


def test_each_pair_has_a_table_with_a_row_for_each_cell() -> None:
    text = render_markdown(sample())
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == ["cu12.8.1-py3.13", "cu13.1.1-py3.14"]
    rows = rendered(text).rows
    heads = [row for row in rows if row[0] == "cell"]
    assert heads == [["cell", "status", "last build", "size", "compressed", "time", "notes"]] * 2
    assert [row[0] for row in rows if row[0] != "cell"] == list(CELLS)


def test_rows_read_as_the_users_wrote_them() -> None:
    rows = rendered(render_markdown(sample())).rows
    assert rows[1] == [
        CELLS[0],
        "✓ ok",
        "2026-11-22",
        "30.0 GB",
        "10.0 GB",
        "2.8 min",
        "python 3.13.9, torch 2.11.0",
    ]
    assert rows[2][-1] == "after 2 tries; python 3.13.9, torch 2.11.0"
    assert rows[6] == [CELLS[5], "· not-run", "", "-", "-", "-", ""]


def test_the_page_opens_with_a_legend_and_a_summary() -> None:
    legend, summary = render_markdown(sample()).split("\n\n")[:2]
    assert all(word in legend for word in ("ok:", "warning:", "failed:", "building:", "not-run:"))
    assert summary == f"2026-11-22 04:00 UTC: {sample().summary()}"


def test_problems_of_the_history_are_listed() -> None:
    assert PROBLEM in render_markdown(sample()).splitlines()[-1]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_shows_as_itself_and_does_nothing(text: str) -> None:
    report = said_everywhere(text)
    page = render_markdown(report)
    found = rendered(page)
    assert found.names <= PLAIN
    assert all(len(row) == 7 for row in found.rows)
    assert [row[-1].split("; last")[0] for row in found.rows if row[0] == CELLS[0]] == [one_line(text)]
    document = f"{BEGIN}\n{END}\n"
    once = replace_table(document, page)
    assert replace_table(once, page) == once


@given(texts)
def test_escaped_text_comes_back_whole_from_a_table(text: str) -> None:
    found = rendered(f"| a | b |\n| --- | --- |\n| {escape_markdown(text)} | after |\n")
    assert found.names <= PLAIN
    assert found.rows[1] == [one_line(text), "after"]


@pytest.mark.parametrize("text", ["https://x.test/a", "www.x.test", "WWW.x.test", "a@x.test", "#12", "$x$"])
def test_nothing_is_left_that_a_reader_would_link_or_typeset(text: str) -> None:
    assert not re.search(r"://|www\.|@|#\d|\$", escape_markdown(text).replace("&#", ""), re.IGNORECASE)


@given(FREE, FREE, FREE, FREE)
def test_everything_outside_the_marks_is_kept(head: str, old: str, tail: str, new: str) -> None:
    table = new or "x"
    result = replace_table(f"{head}{BEGIN}{old}{END}{tail}", table)
    assert result.startswith(f"{head}{BEGIN}")
    assert result.endswith(f"{END}{tail}")
    assert table.strip("\n") in result.replace("\r\n", "\n") or "\r" in table
    assert replace_table(result, table) == result


def test_the_table_has_its_own_lines() -> None:
    assert replace_table(f"a\n{BEGIN}old{END} b", "t\n\nu\n") == f"a\n{BEGIN}\nt\n\nu\n{END} b"


def test_a_document_of_windows_keeps_its_line_endings() -> None:
    assert replace_table(f"a\r\n{BEGIN}\r\n{END}\r\n", "t\nu\n") == f"a\r\n{BEGIN}\r\nt\r\nu\r\n{END}\r\n"


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ("", f"{BEGIN} is missing"),
        (f"x\n{END}", f"{BEGIN} is missing"),
        (f"{BEGIN}\nx", f"{END} is missing"),
        (f"{BEGIN}\n{BEGIN}\n{END}", f"{BEGIN} occurs 2 times (lines 1, 2)"),
        (f"{BEGIN}\n{END}\n\n{END}", f"{END} occurs 2 times (lines 2, 4)"),
        (f"{END}\n{BEGIN}", f"{END} (line 1) comes before {BEGIN} (line 2)"),
        ("<!-- cslr-images: begin --><!-- cslr-images:end -->", f"{BEGIN} is missing"),
    ],
)
def test_a_document_without_good_marks_is_refused(document: str, part: str) -> None:
    assert part in mistake(lambda: replace_table(document, "table"))


def test_a_table_that_holds_a_mark_is_refused() -> None:
    assert "the table itself" in mistake(lambda: replace_table(f"{BEGIN}{END}", f"x {END}"))
