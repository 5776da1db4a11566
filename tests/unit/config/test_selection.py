"""Selection: cells are found by the values of the caller, and a mistake names the accepted ones."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.config.matrix import default_matrix
from ci.config.selection import find_cell, select_cells, select_pair
from tests.unit.plans import CELLS, TARGETS, matrix_with
from tests.unit.user_errors import answer, mistake, nasty, texts

MATRIX = default_matrix()
CPU_CELLS = tuple(f"cpu-py3.13-{target}" for target in TARGETS)


def ids(**filters: Any) -> tuple[str, ...]:
    """Return the ids that filters select, in order."""
    return tuple(cell.id for cell in select_cells(MATRIX, **filters))


def matching(*words: str) -> tuple[str, ...]:
    """Return the ids of the 18 cells that hold every word."""
    return tuple(name for name in CELLS if all(word in name for word in words))


# -- filters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"cuda": ["12.8.1"]}, matching("cu12.8.1")),
        ({"cuda": ["13.1.1"]}, matching("cu13.1.1")),
        ({"python": ["3.14"]}, matching("py3.14")),
        ({"cuda": ["12.8.1"], "python": ["3.14"]}, matching("cu12.8.1-py3.14")),
        ({"cuda": ["12.8.1", "13.1.1"], "python": ["3.13", "3.14"]}, CELLS),
        ({"python": ["3.13"], "target": ["runtime"]}, ("cu12.8.1-py3.13-runtime",)),
        ({"phase": [1], "target": ["runtime", "devel"]}, ("cu12.8.1-py3.13-devel", "cu12.8.1-py3.13-runtime")),
        ({"phase": [2, 4], "target": ["devel"]}, ("cu13.1.1-py3.14-devel",)),
        ({"only": ["cu12.8.1-py3.13-ray-runtime"]}, ("cu12.8.1-py3.13-ray-runtime",)),
        ({"only": ["cu*-ray-*"]}, matching("-ray-")),
        ({"only": ["cu1[3]*.14-devel", "cu12*3.14-devel"]}, ("cu12.8.1-py3.14-devel", "cu13.1.1-py3.14-devel")),
        ({"only": ["cu12*-py3.1[!4]-?ay-devel"]}, ("cu12.8.1-py3.13-ray-devel",)),
        ({"only": ["cu*-runtime", "*-devel"], "phase": [2]}, matching("cu13.1.1", "-runtime")),
    ],
)  # fmt: skip
def test_every_filter_that_is_given_must_match(filters: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert ids(**filters) == expected


def test_cells_come_in_the_order_of_the_document_whatever_the_order_of_the_values() -> None:
    assert ids(target=["runtime", "devel"], cuda=["13.1.1", "12.8.1"]) == ids(
        cuda=["12.8.1", "13.1.1"], target=["devel", "runtime"]
    )
    assert ids(only=["cu13*", "cu*"]) == CELLS


def test_a_pair_that_the_matrix_lacks_is_named_with_those_that_it_has() -> None:
    text = mistake(lambda: select_cells(MATRIX, cuda=["13.1.1"], python=["3.13"]))
    assert text == mistake(lambda: find_cell(MATRIX, "13.1.1", "3.13", "devel"))
    assert text.startswith(
        "the matrix has no pair of CUDA 13.1.1 with Python 3.13; pairs: 12.8.1 with 3.13, "
    )


def test_a_glob_takes_cpu_images_only_when_it_names_them() -> None:
    assert ids(only=["*"]) == CELLS
    assert ids(only=["*-py3.13-runtime"]) == ("cu12.8.1-py3.13-runtime",)
    assert ids(only=["cpu-*", "*"]) == (*CELLS, *CPU_CELLS)


EXCLUDED = '[[excludes]]\nonly = "cu12*-py3.14-*"\nreason = "no wheel for cp314"\n'


def test_an_excluded_cell_is_never_selected_and_the_reason_is_shown() -> None:
    matrix = matrix_with(EXCLUDED)
    assert {cell.pair_id for cell in select_cells(matrix)} == {"cu12.8.1-py3.13", "cu13.1.1-py3.14"}
    alone = mistake(lambda: select_cells(matrix, only=["cu12.8.1-py3.14-devel"]))
    assert alone == "the selection is empty: excluded in the matrix: no wheel for cp314"
    named = mistake(lambda: find_cell(matrix, "12.8.1", "3.14", "devel"))
    assert named == "cu12.8.1-py3.14-devel is excluded in the matrix: no wheel for cp314"


def test_a_pair_is_without_its_excluded_cells() -> None:
    matrix = matrix_with('[[excludes]]\nonly = "cu12.8.1-py3.14-ray-*"\nreason = "no wheel for cp314"\n')
    found = tuple(cell.id for cell in select_pair(matrix, "12.8.1", "3.14"))
    usual = tuple(cell.id for cell in select_pair(matrix_with(), "12.8.1", "3.14"))
    assert usual == matching("cu12.8.1", "py3.14")
    assert found == tuple(name for name in usual if "-ray-" not in name)
    assert len(found) == 4


def test_an_exclude_needs_a_reason() -> None:
    assert "excludes.0.reason" in mistake(lambda: matrix_with('[[excludes]]\nonly = "cu12*"\n'))


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        ({"phase": [1], "cuda": ["13.1.1"]}, "no cell of --cuda 13.1.1 has --phase 1"),
        ({"cuda": ["cpu"], "phase": [1]}, "no cell of --cuda cpu has --phase 1"),
        ({"only": ["cu99*"]}, "no cell has --only cu99*"),
        ({"only": ["ray-runtime"]}, "no cell has --only ray-runtime"),
        ({"only": ["CU*"]}, "no cell has --only CU*"),
    ],
)
def test_an_empty_selection_is_a_mistake(filters: dict[str, Any], why: str) -> None:
    message = mistake(lambda: select_cells(MATRIX, **filters))
    assert message == f"the selection is empty: {why}; `dagger call cells` lists them"


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            {"cuda": ["12.8.2"]},
            "unknown CUDA version '12.8.2' (did you mean '12.8.1'?); accepted: 12.8.1, 13.1.1, cpu",
        ),
        ({"cuda": ["12.8.1", "rocm"]}, "unknown CUDA version 'rocm'; accepted: 12.8.1, 13.1.1, cpu"),
        ({"python": ["3.13", "314"]}, "version '314' (did you mean '3.14'?); accepted: 3.13, 3.14"),
        (
            {"target": ["ray_runtime"]},
            f"unknown target 'ray_runtime' (did you mean 'ray-runtime'?); accepted: {', '.join(TARGETS)}",
        ),
        ({"phase": [6]}, "unknown phase '6'; accepted: 1, 2, 3, 4, 5"),
        ({"phase": [-1]}, "accepted: 1, 2, 3, 4, 5"),
    ],
)
def test_an_unknown_value_names_what_is_accepted(filters: dict[str, Any], message: str) -> None:
    assert mistake(lambda: select_cells(MATRIX, **filters)).endswith(message)


@pytest.mark.parametrize(
    "glob", ["", " ", "cu*;id", "cu*\n", "$(id)", "cu*/..", "a" * 81, "{a,b}", "日", "-\x00", "cu'*"]
)
def test_a_glob_holds_only_what_ids_and_globs_are_made_of(glob: str) -> None:
    assert mistake(lambda: select_cells(MATRIX, only=[glob])).startswith("bad glob ")


@pytest.mark.parametrize(
    "glob", ["*" * 80, "*a" * 40, "[" * 80, "[!", "[]", "[!]", "[z-a]*", "[a--b]*", "?" * 80, "[[alpha]]", "-*"]
)  # fmt: skip
def test_a_hostile_glob_matches_or_does_not(glob: str) -> None:
    answer(lambda: select_cells(MATRIX, only=[glob]))


@given(st.lists(st.text(alphabet="cu123.-pyraytime*?[]!_", max_size=80), min_size=1, max_size=3))
def test_any_globs_select_known_cells_or_nothing(globs: list[str]) -> None:
    found = answer(lambda: ids(only=globs))
    assert found is None or set(found) <= {*CELLS, *CPU_CELLS}


@given(texts, texts, texts, texts)
def test_any_text_selects_a_known_cell_or_is_a_mistake(
    cuda: str, python: str, target: str, glob: str
) -> None:
    for filters in ({"cuda": [cuda]}, {"python": [python]}, {"target": [target]}, {"only": [glob]}):
        answer(partial(ids, **filters))


# -- one cell -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS + CPU_CELLS)
def test_every_cell_is_found_by_its_parts(name: str) -> None:
    wanted = next(cell for cell in MATRIX.cells if cell.id == name)
    assert find_cell(MATRIX, wanted.cuda, wanted.python, wanted.target) == wanted


def test_a_pair_that_the_matrix_does_not_have_names_those_that_it_has() -> None:
    assert (
        mistake(lambda: find_cell(MATRIX, "13.1.1", "3.13", "devel"))
        == "the matrix has no pair of CUDA 13.1.1 with Python 3.13; "
        "pairs: 12.8.1 with 3.13, 12.8.1 with 3.14, 13.1.1 with 3.14, cpu with 3.13"
    )


@pytest.mark.parametrize("position", [0, 1, 2])
@nasty
def test_a_nasty_value_finds_no_cell(position: int, value: str) -> None:
    words = ["12.8.1", "3.13", "devel"]
    words[position] = value
    assert mistake(lambda: find_cell(MATRIX, *words)).startswith("unknown ")


@given(texts, texts, texts)
def test_any_values_find_a_cell_of_the_matrix_or_are_a_mistake(cuda: str, python: str, target: str) -> None:
    for words in ((cuda, "3.13", "devel"), ("12.8.1", python, "devel"), ("12.8.1", "3.13", target)):
        found = answer(partial(find_cell, MATRIX, *words))
        assert found is None or found in MATRIX.cells
