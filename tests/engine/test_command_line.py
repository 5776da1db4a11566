"""The command line as a user meets it: an index of functions, and one line for each mistake."""

from pathlib import Path

import pytest

from tests.engine.conftest import dagger, succeed

CELL = ("--cuda=12.8.1", "--python=3.13", "--target=ray-runtime")


def test_functions_read_like_an_index() -> None:
    printed = succeed("functions")
    for name in ("build", "cells", "plan", "verify", "ray-runtime", "pack", "strip", "toolkit"):
        assert f"\n{name} " in printed


def test_cells_lists_the_users_matrix() -> None:
    assert len(succeed("call", "cells").split()) == 18


def test_cells_takes_any_filter() -> None:
    printed = succeed("call", "cells", "--phase=2", "--only=*-ray-*")
    assert printed.split() == ["cu13.1.1-py3.14-ray-runtime"]


def test_checks_are_functions_and_dagger_check_runs_them() -> None:
    assert succeed("call", "lint-locks") == "22 locks are what the matrix asks for\n"
    answer = dagger("check")
    assert answer.status == 0, answer.err[-4000:]
    assert "lintMatrix" in answer.err
    assert "lintLocks" in answer.err


def test_the_plan_tells_what_is_compiled_and_why() -> None:
    printed = succeed("call", "--sources=registries", "plan", *CELL)
    assert "compile torch-scatter==2.1.2" in printed
    assert "the compiler is Debian's nvcc 12.4.131" in printed
    assert "the last torch on PyPI that is built for CUDA 12.8 is 2.10.0" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("build", "--cuda=12.8.2", *CELL[1:]),
            "unknown CUDA version '12.8.2' (did you mean '12.8.1'?); accepted: 12.8.1, 13.1.1, cpu",
        ),
        (
            ("build", "--cuda=13.1.1", *CELL[1:]),
            (
                "the matrix has no pair of CUDA 13.1.1 with Python 3.13; pairs: 12.8.1 with 3.13, "
                "12.8.1 with 3.14, 13.1.1 with 3.14, cpu with 3.13"
            ),
        ),
        (
            ("build", "--cuda=12.8.1", "--python=3.13", "--target=ray_runtime"),
            (
                "unknown target 'ray_runtime' (did you mean 'ray-runtime'?); accepted: devel, runtime, "
                "ray-devel, ray-runtime, marimo-devel, marimo-runtime"
            ),
        ),
        (
            ("cells", "--cuda=13.1.1", "--phase=1"),
            "the selection is empty: no cell of --cuda 13.1.1 has --phase 1; `dagger call cells` lists them",
        ),
        (
            ("--sources=upstrem", "build", *CELL),
            "unknown sources profile 'upstrem' (did you mean 'upstream'?); accepted: upstream, registries",
        ),
        (
            ("--archs=8.0;rm -rf /", "build", *CELL),
            "bad list of GPU architectures '8.0;rm -rf /'; accepted: numbers such as '8.0 9.0+PTX'",
        ),
        (("toolkit", "--cuda=cpu", "--python=3.13"), "cpu images have no CUDA toolkit"),
        (
            ("--sources=registries", "--ray-mode=nightly", "build", *CELL),
            "the registries sources have no nightly Ray wheels; accepted here: stable",
        ),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], message: str) -> None:
    answer = dagger("call", *words)
    assert answer.status != 0
    assert answer.error == f"FunctionError: {message}"
    assert "Traceback" not in answer.err
    assert not answer.steps, "nothing may be built before everything is checked"


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        (
            "matrix-file",
            "schema = 1\n[[pairs]]\ncudda = 12\n",
            "unknown key 'pairs.0.cudda' (did you mean 'cuda'?)",
        ),
        ("matrix-file", "schema = \n", "not valid TOML"),
        ("mirrors", '[wheels]\nindx = "http://a/"\n', "unknown key 'wheels.indx' (did you mean 'index'?)"),
        ("mirrors", '[wheels]\nindex = "http://me:secret@a/"\n', "key 'wheels.index'"),
    ],
)
def test_a_mistake_in_a_file_names_the_file_and_the_key(
    tmp_path: Path, option: str, text: str, message: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, "utf-8")
    answer = dagger("call", f"--{option}={file}", "plan", *CELL)
    assert answer.status != 0
    assert answer.error.startswith("FunctionError: mine.toml: ")
    assert message in answer.error
    assert "Traceback" not in answer.err
