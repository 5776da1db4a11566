"""Ten thousand hostile strings at filters, globs and TOML: a line for the user each time, never a traceback."""

from functools import cache, partial

from hypothesis import given, settings
from hypothesis import strategies as st

from ci.config.matrix import Matrix, read_matrix
from ci.config.selection import select_cells
from ci.config.sources import read_sources
from tests.unit.plans import matrix_with, shipped
from tests.unit.user_errors import answer, texts

# What globs, shells, terminals, TOML and our own ids are made of.
PIECES = [*"*?[]!-{}`;|>'\"\\\n\r\0=#", "$(", "&&", "[[pairs]]", "=[", chr(0x202E), "\x1b[2K"]
PIECES += ["cu12.8.1", "py3.13", "ray", "runtime", "cpu", "cuda"]
hostile = st.one_of(texts, st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


@cache
def matrix() -> Matrix:
    return matrix_with()


@settings(max_examples=6_000)
@given(hostile, st.sampled_from(["cuda", "python", "target", "only"]))
def test_a_filter_selects_cells_of_the_matrix_or_is_a_mistake(value: str, name: str) -> None:
    found = answer(lambda: select_cells(matrix(), **{name: [value]}))  # type: ignore[arg-type]
    assert set(found or ()) <= set(matrix().cells)
    if found and name != "only":
        assert {getattr(cell, name) for cell in found} == {value}, "what goes on is a word of the matrix"


@settings(max_examples=2_000)
@given(hostile, st.integers(0, 400))
def test_a_matrix_with_a_hostile_line_is_a_matrix_or_a_mistake(value: str, line: int) -> None:
    lines = shipped("matrix.toml").splitlines()
    lines[line % len(lines)] = value
    answer(partial(read_matrix, "\n".join(lines), "mine.toml"))


@settings(max_examples=2_000)
@given(hostile)
def test_hostile_mirrors_are_sources_or_a_mistake(value: str) -> None:
    answer(partial(read_sources, "registries", f"[wheels]\nindex = {value}", "mine.toml"))
