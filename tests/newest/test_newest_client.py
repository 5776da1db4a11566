"""The module under the newest client of Dagger: names, types, description and unit tests, as under the installed one.

They run in the environment of the tests, with the newest client instead of the installed one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dagger.client import gen

from tests.stand_ins import client_api
from tests.stand_ins.cache import NEWEST, newest_client

ROOT = Path(__file__).resolve().parents[2]
# The unit tests that depend on the client.
TESTS = (
    "test_composing",
    "sdk/test_compat",
    "sdk/test_ids",
    "generate/test_files",
    "sdk/test_reserved_names",
)


@pytest.fixture(scope="session")
def newest() -> Path:
    """Install the newest client, if no earlier run did."""
    return newest_client()


@pytest.fixture(scope="session")
def found(newest: Path) -> dict[str, Any]:
    """Return what the newest client has of the names that `ci` uses."""
    printed = under(newest, "tests.stand_ins.client_api")
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


def under(client: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module with a client; a failure shows all its output."""
    # The settings of the outer pytest are not meant for the inner one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": f"{client}{os.pathsep}{ROOT}"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran


def test_the_newest_client_is_used(found: dict[str, Any]) -> None:
    assert f"dagger-io=={found['version']} " in NEWEST.read_text("utf-8")


def test_it_has_all_names_that_are_used(found: dict[str, Any]) -> None:
    assert sorted(client_api.used_names() - set(found["used"])) == []


def test_the_module_describes_itself_in_the_same_way(found: dict[str, Any]) -> None:
    assert found["described"] == json.loads(json.dumps(client_api.describe_module()))


def test_types_fit(newest: Path, found: dict[str, Any], tmp_path: Path) -> None:
    """Check `ci` as strictly as with the installed client; a name of the newest alone proves whose hints are read."""
    new = min(set(found["exports"]) - set(gen.__all__))
    only = tmp_path / "only_in_the_newest.py"
    only.write_text(f"from dagger import {new}\n\nprint({new})\n", "utf-8")
    under(newest, "mypy", f"--cache-dir={tmp_path}", "ci", str(only))


@pytest.mark.parametrize("name", TESTS)
def test_its_unit_tests_pass(newest: Path, name: str) -> None:
    ran = under(newest, "pytest", "-q", "-p", "no:cacheprovider", f"tests/unit/{name}.py")
    assert " passed" in ran.stdout
