"""The kinds of hostile input: escapes for each language, links, JSON from outside, lines of a history, failures."""

import json
import re
import shlex
from functools import partial
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from ci.history.failure_patterns import ENGINE_PATTERNS, KILLED_STEP_PATTERNS, STEP_PATTERNS
from ci.history.history import History, merge_histories, missing_lines, read_history
from ci.index.simple import resolve_link
from ci.util import escape
from ci.util.json_text import parse_json
from ci.util.model import parse_toml
from tests.unit.history.sample_outputs import SAMPLES
from tests.unit.sample_histories import HOSTILE, record
from tests.unit.user_errors import answer, is_one_line, texts

PIECES = [
    *HOSTILE,
    *"$\\\"'`<>&\n\r\t\0|[]{}#@!-",
    "$(id)",
    "${HOME}",
    "<!channel>",
    "</a>",
    "]]>",
    "\x1b[2K",
    "RUN x",
]
hostile = st.one_of(texts, st.lists(st.sampled_from(PIECES), max_size=6).map("".join))


@settings(max_examples=300)
@given(st.lists(hostile, min_size=1, max_size=3))
def test_a_shell_takes_each_word_as_it_is(words: list[str]) -> None:
    assert shlex.split(escape.escape_shell(words)) == words


@settings(max_examples=300)
@given(hostile)
def test_a_dockerfile_has_one_word_on_one_line_without_a_variable(text: str) -> None:
    word = escape.escape_dockerfile(text)
    assert is_one_line(word)
    inner = re.fullmatch(r'"((?:[^"\\$]|\\["\\$])*)"', word)
    assert inner
    assert re.sub(r"\\(.)", r"\1", inner[1]) == escape.escape_terminal(text)


@settings(max_examples=300)
@given(hostile)
def test_html_has_the_text_and_no_element(text: str) -> None:
    found: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            found.append(f"<{tag} {attrs}>")

        def handle_comment(self, data: str) -> None:
            found.append(data)

    parser = Parser()
    parser.feed(escape.escape_html(text))
    parser.close()
    assert not found


@settings(max_examples=300)
@given(hostile)
def test_xml_can_be_read_again(text: str) -> None:
    element = ET.Element("a", {"b": escape.escape_xml(text)})
    element.text = escape.escape_xml(text)
    again = ET.fromstring(ET.tostring(element, encoding="unicode"))  # noqa: S314 - our own
    assert again.tag == "a"
    assert len(again) == 0


@settings(max_examples=300)
@given(hostile)
def test_slack_and_markdown_and_a_terminal_see_no_markup(text: str) -> None:
    slack = escape.escape_slack(text)
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", slack)
    assert slack.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text
    markdown = escape.escape_markdown(text)
    assert not re.search(r"[<>|`\\*_\[\]~$@!]|&(?!#)", markdown)
    assert not re.match(r"[-+=#]|[0-9]+[.)]", markdown)
    terminal = escape.escape_terminal(text)
    assert terminal == "" or is_one_line(terminal)


@settings(max_examples=500)
@given(hostile, st.sampled_from(["", "https://e/", "http://e:80/a/", "foo:", "//e/", "file://"]))
def test_a_link_is_a_plain_address_or_none(text: str, start: str) -> None:
    link = resolve_link("https://index.example/simple/x/", start + text)
    assert link is None or re.fullmatch(r"https?://[^\s\"'$`\\<>|{}^@]+[^\s\"'$`\\<>|{}^]*", link)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | hostile, lambda one: st.lists(one, max_size=3), max_leaves=5
)


@settings(max_examples=300)
@given(
    st.one_of(hostile, values.map(json.dumps), st.dictionaries(hostile, values, max_size=3).map(json.dumps)),
    st.integers(0, 50),
)
def test_json_and_toml_from_outside_are_an_object_or_a_mistake(text: str, cut: int) -> None:
    for one in (text, text[:cut], "\ufeff" + text, "[" * 10_000 + text, '{"a": ' + "9" * 5000 + text):
        found = answer(partial(parse_json, one, "mine.json"))
        assert found is None or isinstance(found, dict)
        answer(partial(parse_toml, one, "mine.toml"))


WHOLE = record("a", notes=("x",), size=5).line()[:-1]
UNKNOWN = json.dumps(json.loads(WHOLE) | {"gpu": "A100"})
PARTS = [
    WHOLE,
    UNKNOWN,
    WHOLE[:40],
    WHOLE[40:],
    '{"schema": 99}',
    "nonsense",
    "\0\0",
    '{"run": ',
    "[" * 2000,
    "\n",
    "\n",
    "\n",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PARTS) | hostile, max_size=8).map("".join))
def test_no_character_of_a_history_is_lost(text: str) -> None:
    text = text.removeprefix("\ufeff")  # a mark at the very beginning is no content
    read = read_history(text)

    def solid(one: str) -> str:
        return re.sub(r"[ \t\r\n]", "", one)

    assert solid(read.text()) == solid(text)
    again = read_history(read.text())
    assert (again.records, again.unknown_lines) == (read.records, read.unknown_lines)
    merged = merge_histories(read, History())
    lines = set(filter(str.strip, read.text().split("\n")))
    assert set(filter(str.strip, merged.text().split("\n"))) == lines
    assert missing_lines(read, merged) == ""
    assert set(filter(str.strip, missing_lines(History(), read).split("\n"))) == lines


def test_every_line_that_shows_a_failure_has_the_literal_of_its_pattern() -> None:
    found = 0
    for path in SAMPLES.rglob("*.txt"):
        for line in path.read_text("utf-8", errors="replace").splitlines():
            for _, group in (*STEP_PATTERNS, *ENGINE_PATTERNS, *KILLED_STEP_PATTERNS):
                for evidence in group:
                    if evidence.pattern.search(line):
                        found += 1
                        assert evidence.literal in line.lower(), evidence
    assert found > 100
