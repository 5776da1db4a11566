"""The shape of `ci/`: small files, small functions, docstrings that say what a thing does."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "ci"
MODULES = [path for path in sorted(ROOT.rglob("*.py")) if "programs" not in path.relative_to(ROOT).parts]
PROGRAMS = sorted((ROOT / "programs").rglob("*.py"))
# A function with more parameters takes an object. Public functions are the command line: they take its options.
MAX_PARAMETERS = 8
MAX_LINES = {"file": 400, "function": 60}


def name_of(path: Path) -> str:
    """Return a path below `ci` as the test's id."""
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return all functions of a file, methods and inner ones too."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_and_its_functions_are_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES["file"]
    assert path.stem != "utils"
    for function in functions(path):
        assert function.end_lineno is not None
        assert function.end_lineno - function.lineno < MAX_LINES["function"], function.name


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "main.py"], ids=name_of)
def test_a_function_with_many_parameters_takes_an_object(path: Path) -> None:
    for function in functions(path):
        arguments = function.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        assert len(names) - names.count("self") <= MAX_PARAMETERS, function.name


@pytest.mark.parametrize("path", [*MODULES, *PROGRAMS], ids=name_of)
def test_a_module_says_what_it_does(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert text
    assert not text.startswith("What")
    assert len(text.splitlines()[0]) <= 117
