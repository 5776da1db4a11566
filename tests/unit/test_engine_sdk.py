"""Test that the engine's SDK refuses modules that Dagger's own SDK would install differently."""

import sys
import tomllib
from pathlib import Path

import pytest

from engine.paths import PROJECT
from engine.sdk.install import find_difference

SERIES = ".".join(map(str, sys.version_info[:2]))
PROBE = PROJECT / "tests/stand_ins/probe"


def find_difference_in(folder: Path, text: str) -> str:
    """Write a pyproject.toml into a folder and return the difference that is found."""
    (folder / "pyproject.toml").write_text(text, "utf-8")
    return find_difference(tomllib.loads(text), {path.name: path for path in folder.iterdir()})


@pytest.mark.parametrize("project", [PROJECT, PROBE])
def test_the_modules_of_this_project_are_installed_as_by_dagger(project: Path) -> None:
    text = (project / "pyproject.toml").read_text("utf-8")
    assert 'requires-python = ">=3.11"' in text, "the series that the SDK image has"
    files = {path.name: path for path in project.iterdir()}
    assert find_difference(tomllib.loads(text.replace("3.11", SERIES)), files) == ""


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (f">={SERIES}", ""),
        (f"=={SERIES}", ""),
        (f" >= {SERIES} ", ""),
        (">=3.99", "it asks for Python 3.99, "),
        (">=3.10", "it asks for Python 3.10, "),
        (f"<4,>={SERIES}", "it asks for Python of no series, "),
        ("", "it asks for Python of no series, "),
    ],
)
def test_the_lower_bound_chooses_the_python_series(tmp_path: Path, bound: str, expected: str) -> None:
    assert find_difference_in(tmp_path, f'[project]\nrequires-python = "{bound}"\n').startswith(expected)
    assert bool(expected) == bool(find_difference_in(tmp_path, f'[project]\nrequires-python = "{bound}"\n'))


def test_a_python_version_file_overrides_the_bound(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.99\n")
    assert find_difference_in(tmp_path, f'[project]\nrequires-python = ">={SERIES}"\n').startswith(
        "it asks for Python 3.99"
    )


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('[tool.dagger]\nbase-image = "python:3.13"\n', "[tool.dagger]"),
        ("[tool.dagger]\nuse-uv = false\n", "[tool.dagger]"),
        ('[[tool.uv.index]]\nurl = "http://127.0.0.1"\n', "[tool.uv]"),
        ('[tool.uv.sources]\ndagger-io = {path = "sdk"}\n', "[tool.uv]"),
    ],
)
def test_settings_of_daggers_runtime_are_refused(tmp_path: Path, more: str, expected: str) -> None:
    assert find_difference_in(tmp_path, f'[project]\nrequires-python = ">={SERIES}"\n{more}').startswith(
        expected
    )


@pytest.mark.parametrize("name", ["uv.lock", "requirements.lock"])
def test_locks_that_daggers_runtime_would_install_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert (
        find_difference_in(tmp_path, f'[project]\nrequires-python = ">={SERIES}"\n')
        == f"{name} is not supported"
    )
