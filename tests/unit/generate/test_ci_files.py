"""CI files: linters accept them, schedules match the matrix, and the steps work in a shell."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from ci.config.matrix import Matrix, default_matrix
from ci.generate.ci_files import GITHUB, GITLAB, fill_template, read_settings, render_ci_files
from tests.stand_ins.cache import actionlint
from tests.stand_ins.ci_steps import read, script, steps
from tests.unit.plans import matrix_with

ROOT = Path(__file__).parents[3]
UNSCHEDULED = matrix_with()
STYLE = {
    "extends": "default",
    "rules": {"document-start": "disable", "truthy": {"check-keys": False}, "line-length": {"max": 150}},
}


def scripts() -> list[str]:
    """Return what every step and job runs."""
    found = [step["run"] for job in read(GITHUB)["jobs"] for step in steps(job) if "run" in step]
    for job in read(GITLAB).values():
        if isinstance(job, dict):
            found += [line for key in ("before_script", "script") for line in job.get(key, ())]
    return found


def ran(tmp_path: Path, text: str, **env: str) -> str:
    """Run a step's script as CI does, in a folder of its own, and return what it printed."""
    command = ["bash", "-e", "-c", text]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("matrix", [default_matrix(), UNSCHEDULED], ids=["shipped", "unscheduled"])
@pytest.mark.parametrize("path", [GITHUB, GITLAB])
def test_linters_find_nothing(tmp_path: Path, path: str, matrix: Matrix) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render_ci_files(matrix)[path], "utf-8")
    schema = {GITHUB: "github-workflows", GITLAB: "gitlab-ci"}[path]
    commands = [
        ["yamllint", "--strict", "--config-data", json.dumps(STYLE), str(file)],
        ["check-jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)],
    ]
    if path == GITHUB:
        commands.append([str(actionlint()), "-shellcheck", "shellcheck", str(file)])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_shells_find_nothing_to_say_about_gitlabs_scripts() -> None:
    for text in scripts():
        done = subprocess.run(
            ["shellcheck", "--shell=sh", "-"], input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_everything_that_dagger_does_goes_through_daggerw() -> None:
    for text in scripts():
        words = re.sub(r"install-dagger\.sh|dagger/install\.sh", "", text)
        assert not re.search(r"(?<![\w/.-])dagger\b", words), text
    assert {"./daggerw call", "./daggerw sweep"} == {
        found for text in scripts() for found in re.findall(r"[\w./-]*daggerw \w+", text)
    }


def test_the_cli_is_the_one_that_the_module_was_made_for() -> None:
    engine = json.loads((ROOT / "dagger.json").read_text("utf-8"))["engineVersion"]
    assert engine == f"v{read_settings().dagger.version}"
    assert all(
        f"DAGGER_VERSION={read_settings().dagger.version} " in text
        for text in scripts()
        if "DAGGER_V" in text
    )


def test_runs_are_those_of_the_matrix() -> None:
    schedule = default_matrix().schedule
    assert [row["cron"] for row in read(GITHUB)["on"]["schedule"]] == [
        schedule.format_cron(run) for run in schedule.runs
    ]
    phase = next(step["env"]["PHASE"] for step in steps("plan") if step.get("id") == "plan")
    for run in schedule.runs:
        named = (
            f"github.event.schedule == '{schedule.format_cron(run)}' && '{','.join(map(str, run.phases))}'"
        )
        assert (named in phase) == bool(run.phases), "a run without phases builds everything"
        for text in render_ci_files(default_matrix()).values():
            assert f"# {schedule.describe_run(run)}; cron {schedule.format_cron(run)}" in text
    assert "schedule" not in read(GITHUB, UNSCHEDULED)["on"]


@pytest.mark.parametrize(
    ("env", "options"),
    [
        ({}, []),
        ({"CUDA": "", "PYTHON": "3.13"}, ["--python=3.13"]),
        (
            {"CUDA": "12.8.1,cpu", "TARGET": "devel", "PHASE": "1,2", "ONLY": "cu12*-py3.13-* x"},
            ["--cuda=12.8.1,cpu", "--target=devel", "--phase=1,2", "--only=cu12*-py3.13-* x"],
        ),
        ({"ONLY": "$(touch there); `touch there`"}, ["--only=$(touch there); `touch there`"]),
    ],
)
def test_filters_become_options_and_nothing_else(
    tmp_path: Path, env: dict[str, str], options: list[str]
) -> None:
    text = script("plan", "Plan").split('[ -z "$BEFORE" ]')[0] + 'for one in "$@"; do echo "$one"; done'
    assert ran(tmp_path, text, **env).splitlines() == options
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_named_and_never_written_out(tmp_path: Path) -> None:
    text = script("cell", "Build, verify, measure").replace("./daggerw", "echo")
    secrets = {"REGISTRY_PASSWORD": "hush", "WEBHOOK": "https://hush", "REGISTRY_USER": "me"}
    printed = ran(tmp_path, text, CUDA="cpu", PUBLISH="true", REPOSITORIES="a.example/b", **secrets)
    assert printed.split() == [
        *(
            "sweep",
            "--cuda=cpu",
            "--publish",
            "--registry-user=me",
            "--registry-password=env:REGISTRY_PASSWORD",
        ),
        *("--repositories=a.example/b", "--webhook=env:WEBHOOK"),
    ]
    assert "publish" not in ran(tmp_path, text, CUDA="cpu", PUBLISH="false", **secrets)


def test_no_step_of_a_pull_request_hears_of_a_secret() -> None:
    text = render_ci_files(default_matrix())[GITHUB]
    found = re.findall(r"\$\{\{([^}]*secrets\.[^}]*)\}\}", text)
    assert len(found) == 2
    assert all(one.strip().startswith("github.event_name != 'pull_request' && secrets.") for one in found)


def git(folder: Path, *words: str) -> str:
    """Run git in a folder."""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_records_go_from_run_to_run_on_a_branch_of_their_own(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "--quiet", "--bare")
    first = tmp_path / "first"
    git(tmp_path, "clone", "--quiet", str(origin), str(first))
    (first / "README.md").write_text("the project\n")
    git(first, "add", ".")
    git(first, "commit", "--quiet", "--message=first")
    git(first, "push", "--quiet", "origin", "main")
    before, after = script("cell", "Records of earlier runs"), script("report", "Keep them on the branch")
    for number in ("1", "2"):
        checkout = tmp_path / f"run{number}"
        git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{origin}", str(checkout))
        ran(checkout, before, HOME=str(tmp_path))
        history = checkout / "records/history.jsonl"
        assert history.read_text() == ("" if number == "1" else "record 1\n")
        history.write_text(f"{history.read_text()}record {number}\n")
        ran(checkout, after, HOME=str(tmp_path), GITHUB_RUN_ID=number)
    assert git(origin, "ls-tree", "--name-only", "records").split() == ["history.jsonl"]
    assert git(origin, "show", "records:history.jsonl") == "record 1\nrecord 2\n"
    assert git(origin, "log", "--format=%s", "records").splitlines() == [
        "Records of run 2",
        "Records of run 1",
    ]
    assert git(origin, "ls-tree", "--name-only", "main").split() == ["README.md"]


def test_each_line_of_a_value_is_indented_like_its_placeholder() -> None:
    assert fill_template("a:\n  # <<x>>\n  <<x>>\nb: <<y>>-<<y>>\n", {"x": "1\n2", "y": "3"}) == (
        "a:\n  # 1\n  # 2\n  1\n  2\nb: 3-3\n"
    )


def test_a_template_and_its_values_have_the_same_names() -> None:
    with pytest.raises(KeyError, match="unknown"):
        fill_template("<<unknown>>", {})
    with pytest.raises(ValueError, match="no placeholder for a, b"):
        fill_template("<<x>>", {"b": "", "x": "", "a": ""})
