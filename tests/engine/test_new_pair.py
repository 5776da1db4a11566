"""A row of [[pairs]] is all that a new pair needs to be built; tests/unit/test_new_pair.py finds it in the files."""

from dataclasses import replace
from pathlib import Path

from tests.engine.conftest import SmallStack, succeed
from tests.engine.test_small_stack import look
from tests.stand_ins import small_stack

PAIR = ("--cuda=13.1.1", "--python=3.13")
ROW = '[[pairs]]\ncuda = "13.1.1"\npython = "3.13"\nphases = { runtime = 2, devel = 6 }\n'


def test_a_pair_is_built_from_its_row_alone(small: SmallStack, tmp_path: Path) -> None:
    grown = replace(small, matrix=small_stack.matrix_with(tmp_path / "matrix.toml", more=ROW))
    assert len(succeed(*grown.words(), "cells", *PAIR).split()) == 6
    found = look(grown, "build", *PAIR, "--target=marimo-runtime")
    assert str(found["python"]).startswith("3.13.")
    assert "V13.1.115" in str(found["nvcc"])
    versions = found["versions"]
    assert isinstance(versions, dict)
    assert (versions["torch"], versions["ray"], versions["marimo"]) == ("0.1.0+cu130", "0.1.0", "0.1.0")
    assert any(str(name).startswith("_stand_in_cuda") for name in list(found["extension"]))  # type: ignore[call-overload]
