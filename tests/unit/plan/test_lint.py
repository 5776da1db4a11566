"""The checks that need no argument: they pass for what is shipped, and say what is wrong with what is not."""

from dataclasses import replace

from ci.config.locks import read_locks
from ci.config.matrix import default_matrix
from ci.config.sources import read_sources
from ci.plan.inputs import PlanInputs
from ci.plan.lint import lint_locks, lint_matrix
from tests.unit.plans import code, matrix_with
from tests.unit.user_errors import mistake

SHIPPED = PlanInputs(
    matrix=default_matrix(),
    sources_name="upstream",
    sources=read_sources("upstream"),
    locks=read_locks(),
    code=code(),
)


def test_what_is_shipped_is_right() -> None:
    matrix = SHIPPED.matrix
    images = len(matrix.cells) * len(matrix.variants) * len(matrix.torch)
    assert lint_matrix(SHIPPED).startswith(f"{images} plans: ")
    toolkits = {pair.cuda for pair in matrix.pairs} - {"cpu"}
    locks = 5 * len(matrix.pairs) + len(toolkits)
    assert lint_locks(SHIPPED) == f"{locks} locks are what the matrix asks for\n"


def test_excluded_cells_are_not_planned() -> None:
    fewer = matrix_with('[[excludes]]\nonly = "*-py3.14-*"\nreason = "for a test"\n')
    images = len([cell for cell in fewer.cells if cell.python != "3.14"]) * len(fewer.variants) * 2
    assert lint_matrix(replace(SHIPPED, matrix=fewer)).startswith(f"{images} plans: ")


def test_a_lock_that_the_matrix_left_behind_is_named() -> None:
    marimo = SHIPPED.matrix.marimo.model_copy(update={"version": "99.1"})
    newer = SHIPPED.matrix.model_copy(update={"marimo": marimo})
    message = mistake(lambda: lint_locks(replace(SHIPPED, matrix=newer)))
    assert "registries/cpu-py3.13/marimo.txt" in message
    assert "ray.txt" not in message


def test_a_lock_of_another_toolkit_is_named() -> None:
    mirrors = 'toolkit."13.1.1".wheels = ["cuda-toolkit[nvcc]==13.1.0"]'
    stand = replace(SHIPPED, sources_name="registries", sources=read_sources("registries", mirrors))
    assert mistake(lambda: lint_locks(stand)).endswith(": registries/toolkit-13.1.1.txt")


def test_a_cell_that_the_sources_cannot_give_fails_the_check() -> None:
    lacking = SHIPPED.matrix.torch | {"registries": {}}
    message = mistake(
        lambda: lint_matrix(replace(SHIPPED, matrix=SHIPPED.matrix.model_copy(update={"torch": lacking})))
    )
    assert "[torch.registries] has no row for CUDA 12.8.1" in message
