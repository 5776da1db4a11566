"""The table of programs names every file that a program imports, so that all of them are mounted and digested."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ci
from ci.plan.programs import PROGRAMS, mounted_names

ROOT = Path(ci.__file__).parent / "programs"
SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.py"), *ROOT.glob("checks/*.py"))
    if path.name != "check.py"
)


def imported(path: Path) -> Iterator[Path]:
    """Give the files of ci/programs that a file imports, looked for as Python does when it runs the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            files = [folder / f"{name.replace('.', '/')}.py" for folder in (path.parent, ROOT)]
            yield from (file for file in files if file.is_file())


def needed(path: Path) -> set[Path]:
    """Return a file and all that it imports, directly or not."""
    found, waiting = {path}, [path]
    while waiting:
        fresh = set(imported(waiting.pop())) - found
        found |= fresh
        waiting += fresh
    return found


def names(paths: set[Path]) -> set[str]:
    """Return paths below ci/programs."""
    return {path.relative_to(ROOT).as_posix() for path in paths}


@pytest.mark.parametrize("program", SCRIPTS)
def test_a_row_has_exactly_the_files_that_its_program_imports(program: str) -> None:
    assert set(PROGRAMS[program]) == names(needed(ROOT / program))
    assert PROGRAMS[program][0] == program


def test_every_file_is_in_a_row() -> None:
    files = {path for path in ROOT.rglob("*.*") if "__pycache__" not in path.parts}
    rows = {name for row in PROGRAMS.values() for name in row}
    assert names(files) == {name for name in names(files) if {name, name.partition("/")[0]} & rows}
    assert all((ROOT / name).exists() for name in rows)


def test_a_folder_is_mounted_as_one() -> None:
    assert mounted_names("bazelisk") == ("bazelisk",)
    assert "make_channel.py" in mounted_names("make_interpreter.py")
