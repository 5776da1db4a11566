"""Mutants of the benchmark: where they are drawn, and which tests try them."""

from pathlib import Path

import pytest

mutants = pytest.importorskip("benchmarks.mutants")
mutations = pytest.importorskip("benchmarks.mutations")

SOURCE = '''"""Say 1 < 2."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from x import y

LIMIT: int | None = 3


def find(path: "Path | None", least: int) -> int | None:
    """Return 5 < 6."""
    if (
        path is None
        or least > LIMIT
    ):
        return path / "a"
    return not least


if __name__ == "__main__":
    find(None, 1)
'''


def test_a_mutant_changes_what_runs_and_no_types_or_comments() -> None:
    found = [one for one in mutants.find_mutants("x.py", SOURCE) if mutants.changes_meaning(one, SOURCE)]
    changed = {one.diff(SOURCE) for one in found}
    assert ("path is None", "path is not None") in changed
    assert ("or least > LIMIT", "or least >= LIMIT") in changed
    assert ("return not least", "return  least") in changed
    assert ("LIMIT: int | None = 3", "LIMIT: int | None = 4") in changed
    assert not {one.line for one in found} & {1, 2, 4, 5, 11, 16, 20}
    assert not [one for one in found if "BitOr" in one.operator]


def test_a_sample_is_the_same_each_time_and_no_place_is_drawn_twice(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(SOURCE)
    sample, places = mutants.draw(tmp_path, ["b.py", "a.py"], 6, 1)
    assert (sample, places) == mutants.draw(tmp_path, ["a.py", "b.py"], 6, 1)
    assert len({(one.path, one.line, one.column) for one in sample}) == 6 <= places
    assert sample != mutants.draw(tmp_path, ["a.py", "b.py"], 6, 2)[0]


@pytest.mark.parametrize(("line", "lines"), [(7, [7]), (13, [12, 13, 14, 15]), (16, [16]), (17, [17])])
def test_a_place_belongs_to_its_statement(line: int, lines: list[int]) -> None:
    assert list(mutants.statement_lines(SOURCE, line)) == lines


def test_a_mutant_is_tried_by_the_tests_that_execute_it_the_quickest_first() -> None:
    named, quick, slow, other = (
        f"tests/unit/{name}.py::test" for name in ("plan/test_x", "test_q", "test_s", "test_o")
    )
    traced = mutations.Traced(
        seconds={named: 3.0, quick: 1.0, slow: 2.0, other: 0.1},
        lines={"ci/plan/x.py": {7: {slow, quick, "tests/unit/test_f.py::test_that_fails"}, 9: {other}}},
    )
    mutant = mutants.Mutant("ci/plan/x.py", 7, 0, "NumberReplacer", 0)
    assert traced.tests_for(mutant, SOURCE) == [named, quick, slow]
    imported = mutants.Mutant("ci/plan/x.py", 2, 0, "NumberReplacer", 0)
    assert traced.tests_for(imported, SOURCE) == [named, other, quick, slow]
