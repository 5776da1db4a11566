"""The generated files where they are used: written by the command, and CI's steps run as CI runs them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from ci.generate.files import RECORD
from ci.history.history import read_history
from tests.engine.conftest import SmallStack, succeed
from tests.stand_ins.checkouts import commit, copy_checkout
from tests.stand_ins.ci_steps import script
from tests.unit.sample_histories import DEVEL, RUNTIME, record


def test_the_command_writes_everything_and_remembers_the_wheels_of_pages(
    small: SmallStack, tmp_path: Path
) -> None:
    mirrors = tmp_path / "mirrors.toml"
    address = f"http://mirror:{small.port}/pyg/torch-{{torch}}%2B{{tag}}.html"
    mirrors.write_text(f'[wheels]\npyg = "{address}"\n', "utf-8")
    succeed(*small.words(mirrors=mirrors), "generate", "export", f"--path={tmp_path / 'made'}")
    found = {
        str(path.relative_to(tmp_path / "made")) for path in (tmp_path / "made").rglob("*") if path.is_file()
    }
    assert {RECORD, ".gitlab-ci.yml", "docs/reference.md", "dockerfiles/docker-bake.json"} <= found
    # A page that has a wheel for one pair: that pair differs from the others in more than arguments.
    assert {path for path in found if path.endswith("Dockerfile")} == {
        "dockerfiles/Dockerfile",
        "dockerfiles/cu12.8.1-py3.14.Dockerfile",
        "dockerfiles/cpu.Dockerfile",
    }
    links = json.loads((tmp_path / "made" / RECORD).read_text("utf-8"))
    assert {place.rsplit("-", 1)[1]: len(wheels) for place, wheels in links.items()} == {
        "0.1.0%2Bcu128.html": 1,
        "0.1.0%2Bcu130.html": 0,
    }
    text = (tmp_path / "made/dockerfiles/Dockerfile").read_text("utf-8")
    assert "# cu12.8.1-py3.13 from the `upstream` sources" in text
    assert f"ADD http://mirror:{small.port}/pyg/torch_spline_conv-" in text


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a checkout of a pull request that moves Ray's pin; its history is one of its own in the engine."""
    folder = tmp_path_factory.mktemp("ci") / "checkout"
    matrix = copy_checkout(folder) / "ci/matrix.toml"
    text = matrix.read_text("utf-8")
    for old, new in (
        ('[ray]\nversion = "', '[ray]\nversion = "9.'),
        ("[image]\nname", '[image]\nname = "ci/steps" #'),
    ):
        assert old in text
        text = text.replace(old, new)
    matrix.write_text(text, "utf-8")
    commit(folder, "head")
    return folder


def ran(checkout: Path, text: str, **env: str) -> None:
    """Run a step as GitHub does."""
    done = subprocess.run(
        ["bash", "-e", "-c", text],
        cwd=checkout,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def test_a_pull_request_builds_the_cells_whose_plan_it_changes(checkout: Path) -> None:
    ran(checkout, script("plan", "Plans of the base branch"))
    files = {
        "GITHUB_OUTPUT": str(checkout.parent / "output"),
        "GITHUB_STEP_SUMMARY": str(checkout.parent / "summary"),
    }
    ran(checkout, script("plan", "Plan"), BEFORE="../before.json", PYTHON="3.14", **files)
    name, _, value = (checkout.parent / "output").read_text("utf-8").strip().partition("=")
    cells = [row["cell"] for row in json.loads(value)["include"]]
    assert name == "cells"
    assert len(cells) == 8, "of the 12 with Python 3.14, those with Ray"
    assert all("-ray-" in cell or "-marimo-" in cell for cell in cells)
    assert "Ray 9." in (checkout.parent / "summary").read_text("utf-8")


def test_the_records_of_all_jobs_become_one_report(checkout: Path) -> None:
    earlier, newer = record(DEVEL, "2026-11-20T02:00:00Z"), record(RUNTIME)
    texts = {"records": earlier.line(), "found/a": earlier.line(), "found/b": earlier.line() + newer.line()}
    for folder, text in texts.items():
        (checkout / folder).mkdir(parents=True)
        (checkout / folder / "history.jsonl").write_text(text, "utf-8")
    text = script("report", "Put the records of all cells together")
    ran(checkout, text[text.index("cat records") :], GITHUB_STEP_SUMMARY=str(checkout.parent / "status"))
    found = read_history((checkout / "records/history.jsonl").read_text("utf-8")).records
    assert (found.count(earlier), found.count(newer)) == (1, 1)
    assert RUNTIME in (checkout.parent / "status").read_text("utf-8")
    assert "<html" in (checkout / "records/report.html").read_text("utf-8")
