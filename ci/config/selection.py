"""Select cells of a matrix: one cell, the cells of a pair, or all that match filters."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
        UserError: a value, or the pair of two valid ones, is not in the matrix, or all its cells are excluded.
    """
    _check_pair(matrix, cuda, python)
    cells = matrix.cells_of(cuda, python)
    if not cells:
        pair = Cell(cuda=cuda, python=python, target="any").pair_id
        reasons = "; ".join(_exclusion_reasons(matrix, matrix.cells_in(cuda, python)))
        raise UserError(f"all cells of {pair} are excluded in the matrix: {reasons}")
    return cells


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

    A pair with `default = false` is selected only if `cuda` names its version, or the glob that matches names the pair:
    it begins with the pair's id, or with its CUDA part if no other pair has that (`cpu-*`, not `*`). Excluded cells are
    never selected.

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
    filters = _Filters(matrix, cuda, python, target, phase, globs)
    chosen = filters.select(matrix.built)
    if not chosen:
        raise UserError(f"the selection is empty: {filters.explain_empty()}")
    return chosen


def match_cells(matrix: Matrix, *, target: Sequence[str] = (), phase: Sequence[int] = ()) -> tuple[Cell, ...]:
    """Return the cells that match known targets and phases, as `select_cells` does; there may be none."""
    return _Filters(matrix, (), (), target, phase, []).select(matrix.built)


@dataclass(frozen=True)
class _Filters:
    """Filters of a selection, whose values are known."""

    matrix: Matrix
    cuda: Sequence[str]
    python: Sequence[str]
    target: Sequence[str]
    phase: Sequence[int]
    globs: Sequence[str]

    def select(self, cells: Iterable[Cell]) -> tuple[Cell, ...]:
        """Return the cells that match all filters."""
        for _, matches in self._list():
            cells = [cell for cell in cells if matches(cell)]
        return tuple(cell for cell in cells if not self._is_hidden(cell))

    def explain_empty(self) -> str:
        """Say why no cell is selected: an exclusion, a pair that must be named, or the filter that leaves nothing."""
        matching: Sequence[Cell] = self.matrix.cells
        done: list[str] = []
        for name, matches in self._list():
            left = [cell for cell in matching if matches(cell)]
            if not left:
                before = f" of {' '.join(done)}" if done else ""
                return f"no cell{before} has {name}; `dagger call cells` lists them"
            matching = left
            done.append(name)
        if reasons := _exclusion_reasons(self.matrix, matching):
            return f"excluded in the matrix: {'; '.join(reasons)}"
        pairs = ", ".join(dict.fromkeys(cell.pair_id for cell in matching))
        return (
            f"{pairs} is built only if it is named: by --cuda, or by a glob such as {matching[0].pair_id}-*"
        )

    def _list(self) -> list[tuple[str, Callable[[Cell], bool]]]:
        """Return the filters that are given: as the caller gave them, and whether a cell matches."""
        listed: list[tuple[str, Sequence[object], Callable[[Cell], bool]]] = [
            ("--cuda", self.cuda, lambda cell: cell.cuda in self.cuda),
            ("--python", self.python, lambda cell: cell.python in self.python),
            ("--target", self.target, lambda cell: cell.target in self.target),
            ("--phase", self.phase, lambda cell: self.matrix.phase_of(cell) in self.phase),
            ("--only", self.globs, lambda cell: _matches(cell, self.globs)),
        ]
        return [(f"{name} {','.join(map(str, given))}", matches) for name, given, matches in listed if given]

    def _is_hidden(self, cell: Cell) -> bool:
        """Return whether a cell is of a pair that is built on request only, which nothing names."""
        if self.cuda or self.matrix.is_default(cell):
            return False
        shared = self.matrix.has_default_pair(cell.cuda)
        name = cell.pair_id if shared else f"{cell.pair_id.split('-')[0]}-"
        return not any(glob.startswith(name) and fnmatchcase(cell.id, glob) for glob in self.globs)


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


def _exclusion_reasons(matrix: Matrix, cells: Iterable[Cell]) -> list[str]:
    return list(dict.fromkeys(reason for cell in cells if (reason := matrix.exclusion_reason(cell))))
