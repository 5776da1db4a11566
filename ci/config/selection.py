"""Select cells of a matrix: one cell, the cells of a pair, or all that match filters."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from ci.config.fields import GLOB_PATTERN
from ci.config.matrix import Cell, Matrix
from ci.util.errors import UserError, quote_value, require_choice


def find_cell(matrix: Matrix, cuda: str, python: str, target: str) -> Cell:
    """Return one cell.

    Raises:
        UserError: a value, or the pair of two valid ones, is not in the matrix, or the cell is excluded.
    """
    _check_pair(matrix, cuda, python)
    require_choice("target", target, matrix.targets)
    cell = Cell(cuda=cuda, python=python, target=target)
    if reason := matrix.exclusion_reason(cell):
        raise UserError(f"{cell.id} is excluded in the matrix: {reason}")
    return cell


def select_pair(matrix: Matrix, cuda: str, python: str) -> tuple[Cell, ...]:
    """Return the cells of one pair, without the excluded ones.

    Raises:
        UserError: a value, or the pair of two valid ones, is not in the matrix.
    """
    _check_pair(matrix, cuda, python)
    return matrix.cells_of(cuda, python)


def select_cells(
    matrix: Matrix,
    *,
    cuda: Sequence[str] = (),
    python: Sequence[str] = (),
    target: Sequence[str] = (),
    phase: Sequence[int] = (),
    only: Sequence[str] = (),
) -> tuple[Cell, ...]:
    """Return the cells that match every given filter; the globs of `only` match the cell's id.

    A pair with `default = false` is selected only if `cuda` names its version, or a glob begins with its CUDA part
    (`cpu-*`, not `*`). Excluded cells are never selected.

    >>> from ci.config.matrix import default_matrix
    >>> [cell.id for cell in select_cells(default_matrix(), only=["cu12*-py3.13-ray-*"])]
    ['cu12.8.1-py3.13-ray-devel', 'cu12.8.1-py3.13-ray-runtime']

    Raises:
        UserError: a filter has an unknown value, or no cell matches.
    """
    for value in cuda:
        _check_cuda(matrix, value)
    for value in python:
        _check_python(matrix, value)
    for value in target:
        require_choice("target", value, matrix.targets)
    for number in phase:
        require_choice("phase", str(number), map(str, matrix.phases))
    if cuda and python and not any(pair.cuda in cuda and pair.python in python for pair in matrix.pairs):
        raise UserError(_missing_pair(matrix, ", ".join(cuda), ", ".join(python)))
    globs = [check_glob(text) for text in only]
    on_request = {(pair.cuda, pair.python) for pair in matrix.pairs if not pair.default}
    chosen = tuple(
        cell
        for cell in matrix.built
        if (not cuda or cell.cuda in cuda)
        and (not python or cell.python in python)
        and (not target or cell.target in target)
        and (not phase or matrix.phase_of(cell) in phase)
        and (not globs or _matches(cell, globs))
        and (cuda or (cell.cuda, cell.python) not in on_request or _is_named(cell, globs))
    )
    if not chosen:
        raise UserError(f"the selection is empty: {_explain_empty_selection(matrix, globs)}")
    return chosen


def check_glob(text: str) -> str:
    """Return a glob over cell ids as it is.

    Raises:
        UserError: the glob has characters that no id has, or is too long.
    """
    if not re.fullmatch(GLOB_PATTERN, text):
        raise UserError(
            f"bad glob {quote_value(text)}; accepted: letters, digits and .-_*?[]!, at most 80 characters"
        )
    return text


def _check_cuda(matrix: Matrix, cuda: str) -> None:
    require_choice("CUDA version", cuda, dict.fromkeys(pair.cuda for pair in matrix.pairs))


def _check_python(matrix: Matrix, python: str) -> None:
    require_choice("Python version", python, dict.fromkeys(pair.python for pair in matrix.pairs))


def _check_pair(matrix: Matrix, cuda: str, python: str) -> None:
    _check_cuda(matrix, cuda)
    _check_python(matrix, python)
    if (cuda, python) not in {(pair.cuda, pair.python) for pair in matrix.pairs}:
        raise UserError(_missing_pair(matrix, cuda, python))


def _missing_pair(matrix: Matrix, cuda: str, python: str) -> str:
    pairs = ", ".join(f"{pair.cuda} with {pair.python}" for pair in matrix.pairs)
    return f"the matrix has no pair of CUDA {cuda} with Python {python}; pairs: {pairs}"


def _matches(cell: Cell, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(cell.id, glob) for glob in globs)


def _is_named(cell: Cell, globs: Sequence[str]) -> bool:
    """Return whether a glob begins with the CUDA part of the cell's id: `cu12.8.1`, `cpu`."""
    return any(glob.startswith(cell.pair_id.split("-")[0]) for glob in globs)


def _explain_empty_selection(matrix: Matrix, globs: Sequence[str]) -> str:
    matching = [cell for cell in matrix.cells if _matches(cell, globs)]
    reasons = dict.fromkeys(reason for cell in matching if (reason := matrix.exclusion_reason(cell)))
    if reasons:
        return f"excluded in the matrix: {'; '.join(reasons)}"
    return "no cell matches all filters; `dagger call cells` lists them"
