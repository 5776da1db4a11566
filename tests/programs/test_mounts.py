"""Each program starts with no other files than those of its row in the table: what a container has."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ci.plan.programs import PROGRAMS
from tests.programs import conftest


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name.endswith(".py") and "/" not in name])
def test_a_program_starts_with_the_files_of_its_row(
    program: str, tmp_path: Path, tools: Path, clean_env: dict[str, str]
) -> None:
    for name in PROGRAMS[program]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(conftest.PROGRAMS / name, tmp_path / name)
    # Imported, not run: the folder of a script comes first on its path.
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {program.removesuffix('.py')}"
    done = subprocess.run(
        [tools / "python", "-c", code], cwd="/", env=clean_env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_interpreter_that_becomes_an_image_keeps_no_compiled_programs(
    tmp_path: Path, tools: Path, clean_env: dict[str, str]
) -> None:
    for name in PROGRAMS["make_interpreter.py"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(conftest.PROGRAMS / name, tmp_path / name)
    command: list[str | Path] = [tools / "python", tmp_path / "make_interpreter.py", "--help"]
    subprocess.run(command, env=clean_env, capture_output=True, check=True)
    assert not list(tmp_path.rglob("*.pyc"))
