"""Where all that tests need is installed, none is skipped for what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.mark.skipif(True, reason="no such-compiler")
def test_marked():
    pass

def test_called():
    pytest.skip("no such-program")

@pytest.fixture
def needs():
    pytest.skip("no such-tool")

def test_of_a_fixture(needs):
    pass

def test_of_a_module():
    pytest.importorskip("no_such_module")

def test_for_another_reason():
    pytest.skip("only root can be another user")

def test_that_passes():
    pass
"""


@pytest.mark.parametrize(
    ("complete", "counts"),
    [("", "1 passed, 6 skipped"), ("1", "2 failed, 1 passed, 1 skipped, 3 errors")],
)
def test_a_skip_for_what_is_missing_is_a_failure_where_all_is_installed(
    tmp_path: Path, complete: str, counts: str
) -> None:
    (tmp_path / "test_one.py").write_text(TESTS)
    (tmp_path / "test_two.py").write_text('import pytest\npytest.importorskip("no_such_module")\n')
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-c",
        os.devnull,
        "--continue-on-collection-errors",
        "--rootdir",
        tmp_path,
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "CSLR_TESTS_COMPLETE": complete, "PYTEST_ADDOPTS": ""}
    env = {name: value for name, value in env.items() if not name.startswith("PYTEST_XDIST")}
    one = subprocess.run(
        [*command, "-p", "no:cacheprovider", tmp_path], capture_output=True, text=True, check=False, env=env
    )
    assert counts in one.stdout.splitlines()[-1]
