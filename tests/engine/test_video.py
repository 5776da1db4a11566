"""Video on the small stack, where it is off unless a matrix has the table."""

from pathlib import Path

import pytest

from tests.engine.conftest import SmallStack, succeed
from tests.engine.test_small_stack import PAIR, PYTHON, quoted
from tests.stand_ins import small_stack

VIDEO = """
[verify]
checks = ["versions", "pip_check"]
[video]
av = "0.1.0"
opencv-python-headless = "0.1.0"
"""
# Load what stands in for torchcodec's library, and call through it into PyAV's.
LOOK = """
import ctypes, pathlib, sysconfig
core = pathlib.Path(sysconfig.get_path("purelib"), "torchcodec/libtorchcodec_core8.so")
link = pathlib.Path("/opt/env/lib/libavcodec.so.62")
print(ctypes.CDLL(str(core)).frames(), link.is_symlink(), link.resolve().name)
"""


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small stack's matrix with video."""
    return small_stack.matrix_with(tmp_path_factory.mktemp("video") / "matrix.toml", more=VIDEO)


@pytest.mark.parametrize("target", ["devel", "ray-runtime"])
def test_torchcodec_finds_the_libraries_of_pyav(small: SmallStack, matrix: Path, target: str) -> None:
    program = ("with-exec", f"--args={PYTHON},-c,{quoted(LOOK)}", "stdout")
    found = succeed(*small.words(matrix=matrix), "build", *PAIR, f"--target={target}", *program)
    assert found.split() == ["62", "True", "libavcodec-0000abcd.so.62.1.100"]


def test_the_versions_are_checked(small: SmallStack, matrix: Path) -> None:
    report = succeed(*small.words(matrix=matrix), "verify", *PAIR, "--target=runtime")
    assert "versions" in report


def test_without_the_table_there_is_none(small: SmallStack) -> None:
    look = ("with-exec", "--args=ls,/opt/env/lib", "stdout")
    assert "libavcodec" not in succeed(*small.words(), "build", *PAIR, "--target=runtime", *look)
