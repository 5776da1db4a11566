"""Errors: a mistake of the caller becomes one line that names the accepted values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.util.errors import UserError, one_line, quote_value, require_choice, summarize_error
from tests.unit.user_errors import is_one_line, mistake, nasty, texts

TARGETS = ["devel", "runtime", "ray-devel", "ray-runtime"]


def test_the_closest_match_and_all_accepted_values_are_named() -> None:
    assert (
        mistake(lambda: require_choice("target", "ray-runtme", TARGETS))
        == "unknown target 'ray-runtme' (did you mean 'ray-runtime'?); accepted: devel, runtime, ray-devel, ray-runtime"
    )


def test_nothing_is_suggested_for_a_value_like_none_of_them() -> None:
    assert (
        mistake(lambda: require_choice("target", "12.8.1", ["devel"]))
        == "unknown target '12.8.1'; accepted: devel"
    )


def test_the_accepted_values_may_be_any_iterable() -> None:
    assert require_choice("target", "devel", (name for name in TARGETS)) == "devel"
    assert "accepted: a, b" in mistake(lambda: require_choice("letter", "zzz", iter("ab")))


@pytest.mark.parametrize("value", ["Devel", " devel", "devel ", "devel\n", "devel\x00", "\uff44evel", ""])
def test_only_the_very_value_is_accepted(value: str) -> None:
    mistake(lambda: require_choice("target", value, TARGETS))


@nasty
def test_a_nasty_value_becomes_one_short_line(value: str) -> None:
    assert len(mistake(lambda: require_choice("target", value, TARGETS))) < 1000


@given(texts)
def test_a_message_is_one_line_whatever_the_value(value: str) -> None:
    assert "accepted: devel, runtime" in mistake(lambda: require_choice("target", value + "?", TARGETS))


@given(texts)
def test_any_text_becomes_a_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert line == line.strip()
    assert one_line(line) == line


@given(texts)
def test_an_error_holds_one_line_whatever_it_is_given(text: str) -> None:
    assert str(UserError(text)).isprintable()


def test_escapes_of_a_terminal_lose_their_power_and_words_stay() -> None:
    assert one_line("a\x1b[31mred\x1b[0m\r\n\tb") == "a?[31mred?[0m b"
    assert one_line("日本語 ñ — “x”") == "日本語 ñ — “x”"


@given(st.text(min_size=61))
def test_a_long_value_is_cut(value: str) -> None:
    quoted = quote_value(value)
    assert quoted.endswith(("…'", '…"'))
    assert len(quoted) <= 10 * 61 + 2  # an escape such as \U0001f980 takes ten characters
    assert is_one_line(quoted)


def test_a_value_of_the_limit_is_shown_whole() -> None:
    assert quote_value("x" * 60) == "'" + "x" * 60 + "'"
    assert quote_value("abcdef", limit=3) == "'abc…'"


def test_a_summary_is_one_quoted_line_without_trace_ids() -> None:
    error = RuntimeError(f"no route\n to host [traceparent:{'0' * 32}-{'1' * 16}]")
    assert summarize_error(error) == "'no route to host'"
    assert summarize_error(error, 8) == "'no route…'"
