"""Documents: errors name the file, the line or the key; documents are merged key by key."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from ci.util.model import FrozenModel, freeze_lists, load_model, merge_tables, parse_toml
from tests.unit.user_errors import answer, mistake, texts


class Wheel(FrozenModel):
    """A part with a free table and an optional one above it."""

    renamed: ClassVar[Mapping[str, str]] = {"bytes": "size"}

    name: str
    size: int = 0


class Shelf(FrozenModel):
    """A document with every kind of part that ours have."""

    schema_: Annotated[int, Field(alias="schema")] = 1
    title: str
    wheels: tuple[Wheel, ...] = ()
    by_name: Annotated[dict[str, Wheel], Field(default_factory=dict)]
    best: Wheel | None = None


def read(text: str) -> Shelf:
    """Read a shelf from TOML."""
    return load_model(parse_toml(text, "shelf.toml"), Shelf, "shelf.toml")


keys = st.text(max_size=8) | st.sampled_from([*Shelf.model_fields, "schema", "name", "size"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.dates()
    | st.times()
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
tables = st.dictionaries(keys, values, max_size=3)
shallow = st.dictionaries(
    st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9)), max_size=3
)
mixed = st.dictionaries(st.sampled_from("abcx"), st.integers(0, 9) | shallow, max_size=3)


def test_a_document_is_read() -> None:
    shelf = read('schema = 2\ntitle = "x"\n[[wheels]]\nname = "a"\n[by_name.b]\nname = "b"\nsize = 3\n')
    assert (shelf.schema_, shelf.title) == (2, "x")
    assert shelf.wheels == (Wheel(name="a"),)
    assert shelf.by_name == {"b": Wheel(name="b", size=3)}


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb == 2", 2), ("a = 1\n\nc = ", 3), ("[x]\na = 1\na = 2", 3), ("[x]\n\n\n[x]", 4), ("é = 1", 1)],
)
def test_a_syntax_error_names_file_and_line(text: str, line: int) -> None:
    message = mistake(lambda: parse_toml(text, "mirrors.toml"))
    assert message.startswith("mirrors.toml: not valid TOML: ")
    assert f"line {line}" in message


def test_an_unknown_key_names_the_closest_and_all_accepted_as_a_document_writes_them() -> None:
    assert (
        mistake(lambda: read('titel = "x"'))
        == "shelf.toml: unknown key 'titel' (did you mean 'title'?); accepted: schema, title, wheels, by_name, best"
    )
    assert "did you mean 'schema'?" in mistake(lambda: read('title = "x"\nshema = 1'))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('title = "x"\n[[wheels]]\nname = "a"\n[[wheels]]\nnme = "b"', "wheels.1.nme"),
        ('title = "x"\n[by_name.torch]\nnme = "a"', "by_name.torch.nme"),
        ('title = "x"\n[by_name.name]\nnme = "a"', "by_name.name.nme"),
        ('title = "x"\n[best]\nnme = "a"', "best.nme"),
    ],
)
def test_an_unknown_key_below_names_its_path_and_what_its_own_table_accepts(text: str, key: str) -> None:
    assert (
        mistake(lambda: read(text))
        == f"shelf.toml: unknown key '{key}' (did you mean 'name'?); accepted: name, size"
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("title = 1", "title"),
        ('title = "x"\nschema = "1"', "schema"),
        ('title = "x"\nschema = true', "schema"),
        ('title = "x"\nschema = 1.0', "schema"),
        ('title = "x"\nwheels = 3', "wheels"),
        ('title = "x"\nwheels = { name = "a" }', "wheels"),
        ('title = "x"\n[[by_name]]\nname = "a"', "by_name"),
        ('title = "x"\nbest = 1979-05-27', "best"),
        ("schema = 1", "title"),
    ],
)
def test_a_wrong_type_or_a_missing_key_names_the_key(text: str, key: str) -> None:
    assert mistake(lambda: read(text)).startswith(f"shelf.toml: key '{key}'")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('title = "x"\n[[wheels]]\nname = "a"\nbytes = 3', "wheels.0.bytes"),
        ('title = "x"\n[by_name.torch]\nbytes = "a"', "by_name.torch.bytes"),
        ("[best]\nbytes = 3", "best.bytes"),
    ],
)
def test_an_earlier_name_of_a_key_is_answered_with_the_one_it_has_now(text: str, key: str) -> None:
    assert mistake(lambda: read(text)) == f"shelf.toml: key '{key}' is called 'size' now"


def test_an_earlier_name_counts_in_its_own_table_only() -> None:
    assert "unknown key 'bytes' (" in mistake(lambda: read('title = "x"\nbytes = 3'))


def test_an_unknown_key_is_named_before_the_keys_that_are_missing() -> None:
    assert "unknown key 'titel'" in mistake(lambda: read("titel = 1\nwheels = 3"))
    assert "unknown key 'wheels.0.nme'" in mistake(
        lambda: read('title = 1\nby_name = 3\n[[wheels]]\nnme = "a"')
    )


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "[" * 300 + "]" * 300,
        "a = " + "{a=" * 300 + "1" + "}" * 300,
        "a" + ".a" * 3000 + " = 1",
        "[a" + ".a" * 3000 + "]",
        "[[a" + ".a" * 3000 + "]]",
    ],
    ids=["open lists", "lists", "inline tables", "dotted key", "table", "table in a list"],
)
def test_a_document_nested_beyond_reason_is_a_mistake(text: str) -> None:
    assert mistake(lambda: read(text)).startswith("shelf.toml: ")


def test_twenty_levels_are_not_too_many() -> None:
    assert parse_toml("a" + ".a" * 18 + " = 1", "x")
    assert mistake(lambda: parse_toml("a" + ".a" * 20 + " = 1", "x")) == "x: nested deeper than 20 levels"


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = 2024-13-99", 'a = "\\ud800"', "a = \x00"])
def test_values_that_no_parser_can_hold_are_mistakes(text: str) -> None:
    assert mistake(lambda: parse_toml(text, "x")).startswith("x: not valid TOML: ")


def test_a_long_key_is_cut() -> None:
    assert len(mistake(lambda: read(f"{'x' * 100_000} = 1"))) < 300


@given(texts, texts)
def test_any_text_is_a_table_or_a_mistake(text: str, name: str) -> None:
    answer(lambda: parse_toml(text, f"file {name}"))


@given(st.text(alphabet="[]{}=.,\"'#\n ab1-:TZe_+\\x"))
def test_any_text_of_tomls_own_characters_is_a_table_or_a_mistake(text: str) -> None:
    answer(lambda: read(text))


@given(tables)
def test_any_table_is_a_model_or_a_mistake(table: dict[str, Any]) -> None:
    found = answer(lambda: load_model(table, Shelf, "shelf.toml"))
    assert found is None or isinstance(found, Shelf)


@given(mixed)
def test_merging_with_an_empty_document_changes_nothing(table: dict[str, Any]) -> None:
    assert merge_tables(table, {}) == merge_tables({}, table) == merge_tables(table, table) == table


@given(mixed, mixed)
def test_the_second_document_wins_and_every_key_stays(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = deepcopy((base, over))
    result = merge_tables(base, over)
    assert set(result) == set(base) | set(over)
    for key, value in over.items():
        if not isinstance(value, dict):
            assert result[key] == value
    assert (base, over) == before


@given(shallow, shallow, shallow)
def test_it_does_not_matter_which_two_of_three_are_merged_first(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]
) -> None:
    assert merge_tables(merge_tables(first, second), third) == merge_tables(
        first, merge_tables(second, third)
    )


def test_tables_are_joined_and_lists_and_values_replaced() -> None:
    base = {"wheels": {"index": "a", "torch": "b"}, "list": [1, 2], "value": 1, "table": {"x": 1}}
    over = {"wheels": {"index": "c"}, "list": [3], "value": {"y": 1}, "table": 2}
    assert merge_tables(base, over) == {
        "wheels": {"index": "c", "torch": "b"},
        "list": [3],
        "value": {"y": 1},
        "table": 2,
    }


def test_lists_become_tuples_all_the_way_down() -> None:
    assert freeze_lists({"a": [1, [2, {"b": [3]}]]}) == {"a": (1, (2, {"b": (3,)}))}
