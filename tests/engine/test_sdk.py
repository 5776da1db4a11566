"""The embedded engine's SDK runs a module as Dagger's own does; each difference that is left is in engine/README.md."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import ROOT, dagger, succeed

PROBE = ROOT / "tests/stand_ins/probe"


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """Ask the module how it is run."""
    found: dict[str, Any] = json.loads(succeed("-m", str(PROBE), "call", "facts"))
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy the module, to change it."""
    return Path(shutil.copytree(PROBE, tmp_path / "probe", ignore=shutil.ignore_patterns("__pycache__")))


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_module_is_installed_editable_with_its_entry_point(facts: dict[str, Any]) -> None:
    assert facts["entry_points"] == ["probe:Probe"]
    # As Dagger does: the source is mounted at a path that no other source has.
    assert re.fullmatch(r"/src/\w+:\w+/tests/stand_ins/probe/probe/__init__\.py", facts["module"])
    assert facts["command"] == ["/runtime"]
    assert facts["folder"] == "/scratch", "the engine's own choice"
    assert facts["user"] == 0


def test_python_is_of_the_series_that_the_lower_bound_names(facts: dict[str, Any]) -> None:
    assert facts["series"] == [3, 11]
    assert facts["python"] == "/usr/local/bin/python"


def test_the_variables_are_those_of_daggers_own_sdk(facts: dict[str, Any]) -> None:
    # Read in sdk/python/runtime/main.go of dagger/dagger, but for DAGGER_BASE_IMAGE, DAGGER_UV_IMAGE and
    # DAGGER_UV_VERSION, which name images; the session's are the engine's.
    own = {name: value for name, value in facts["variables"].items() if "SESSION" not in name}
    assert own == {
        "DAGGER_DEFAULT_PYTHON_PACKAGE": "probe",
        "DAGGER_ENGINE_NUM_CPU": own["DAGGER_ENGINE_NUM_CPU"],
        "DAGGER_MAIN_OBJECT": "Probe",
        "DAGGER_MODULE": "probe",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PYTHONUNBUFFERED": "1",
        "UV_COMPILE_BYTECODE": "1",
        "UV_LINK_MODE": "copy",
        "UV_NATIVE_TLS": "1",
        "UV_PROJECT_ENVIRONMENT": "/opt/venv",
        "UV_SYSTEM_PYTHON": "1",
    }


def test_the_client_is_generated_for_the_engine_and_checks_types(facts: dict[str, Any]) -> None:
    assert facts["client_version"] == "0.0.0", "a module that pins dagger-io fails with Dagger's own SDK"
    assert facts["checked"] == "TypeError"
    assert facts["client_compiled"], "or each call compiles it"
    # What modules may not use is not in it; the package on PyPI has it.
    assert facts["without_host"]


def test_an_id_that_is_plain_text_fails(facts: dict[str, Any]) -> None:
    del facts  # the module is loaded
    answer = dagger("-m", str(PROBE), "call", "broken")
    assert answer.status != 0
    assert "InvalidResultError" in answer.error
    assert "violates type hint <class 'dagger.DirectoryID'>" in answer.error


def test_a_module_that_dagger_would_run_on_another_python_is_refused(project: Path) -> None:
    replace(project / "pyproject.toml", ">=3.11", ">=3.13")
    answer = dagger("-m", str(project), "call", "facts")
    assert answer.status != 0
    assert (
        "the embedded engine cannot run this module as Dagger would: it asks for Python 3.13, and there is only 3.11"
        in answer.err
    )


def test_this_module_runs_with_the_newest_of_everything_that_it_asks_for(tmp_path: Path) -> None:
    # As Dagger's own SDK installs it: without requirements/runtime.txt, which that one does not know.
    for name in ("ci", "dagger.json", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    assert len(succeed("-m", str(tmp_path), "call", "cells").split()) == 18


def test_a_module_that_pins_the_client_fails(project: Path) -> None:
    replace(project / "pyproject.toml", '"dagger-io"', '"dagger-io==0.19.10"')
    answer = dagger("-m", str(project), "call", "facts")
    assert answer.status != 0
    assert "No solution found" in answer.err


def test_developing_a_module_writes_the_client_into_it(project: Path) -> None:
    succeed("-m", str(project), "develop")
    generated = (project / "sdk/src/dagger/client/gen.py").read_text("utf-8")
    assert "class DirectoryID(Scalar)" in generated
    assert "/sdk" in (project / ".gitignore").read_text("utf-8").split()
