"""Render the CI files for GitHub and GitLab from templates, the matrix and `ci_files.toml`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Annotated

from pydantic import Field

from ci.config.matrix import Matrix
from ci.config.schedule import Schedule
from ci.config.selection import match_cells
from ci.config.sources import PlainAddress, PlainImageName
from ci.util.model import FirstSchema, FrozenModel, load_model, parse_toml

GITHUB, GITLAB = ".github/workflows/images.yml", ".gitlab-ci.yml"
NOTICE = "Not edited by hand: change ci/matrix.toml, ci/generate/ci_files.toml or ci/generate/templates, then run\n"
NOTICE += "`./daggerw call generate export --path .`"

Action = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+/[A-Za-z0-9._-]+@[A-Za-z0-9._-]+$")]
Path = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]+$")]


class Dagger(FrozenModel):
    """The version of the Dagger CLI that CI installs, and the address of the install script."""

    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    install: PlainAddress


class Tests(FrozenModel):
    """The image that the tests run in."""

    image: PlainImageName


class Github(FrozenModel):
    """Runner, actions and limits; `unused` are the runner's folders to remove for free space."""

    runner: Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")]
    checkout: Action
    upload: Action
    download: Action
    max_parallel: Annotated[int, Field(ge=1, le=256)]
    timeout_minutes: Annotated[int, Field(ge=1, le=360)]
    unused: tuple[Path, ...]


class Gitlab(FrozenModel):
    """The image of the jobs, and the image of the service that runs Docker for them."""

    image: PlainImageName
    service: PlainImageName


class Settings(FrozenModel):
    """The document `ci_files.toml`."""

    schema_: FirstSchema = Field(alias="schema")
    dagger: Dagger
    tests: Tests
    github: Github
    gitlab: Gitlab


def render_ci_files(matrix: Matrix) -> dict[str, str]:
    """Return the CI files by their path in the repository."""
    settings = read_settings()
    dagger = {"address": settings.dagger.install, "version": settings.dagger.version}
    shared = {
        "made": NOTICE,
        "runs": "\n".join(_runs(matrix)),
        "tests-image": settings.tests.image,
        "select": _shell("select"),
        "before": _shell("before"),
        "publish": _shell("publish"),
    }
    github = {
        **shared,
        "crons": "\n".join(_crons(matrix.schedule)),
        "filters": "\n".join(_filters(matrix.schedule)),
        "inputs": "\n".join(
            f"{name}:\n  description: {json.dumps(text)}\n  type: string"
            for name, text in _inputs(matrix).items()
        ),
        "install": fill_template(_shell("install"), {**dagger, "folder": '"$HOME/.local/bin"'}),
        "earlier": _shell("earlier"),
        "report": _shell("report"),
        "commit": _shell("commit"),
        "runner": settings.github.runner,
        "checkout": settings.github.checkout,
        "upload": settings.github.upload,
        "download": settings.github.download,
        "timeout": str(settings.github.timeout_minutes),
        "max-parallel": str(settings.github.max_parallel),
        "unused": " ".join(settings.github.unused),
    }
    gitlab = {
        **shared,
        "inputs": "\n".join(
            f'{name.upper()}:\n  value: ""\n  description: {json.dumps(text)}'
            for name, text in _inputs(matrix).items()
        ),
        "install": fill_template(_shell("install"), {**dagger, "folder": "/usr/local/bin"}),
        "image": settings.gitlab.image,
        "service": settings.gitlab.service,
    }
    return {
        GITHUB: fill_template(_template("github.yml"), github),
        GITLAB: fill_template(_template("gitlab.yml"), gitlab),
    }


def read_settings() -> Settings:
    """Read the settings that come with the module."""
    return load_model(parse_toml(_resource("ci_files.toml"), "ci_files.toml"), Settings, "ci_files.toml")


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders of a template; all lines of a value are indented like the first.

    >>> print(fill_template("steps:\\n  # <<note>>", {"note": "first\\nsecond"}))
    steps:
      # first
      # second

    Raises:
        KeyError: a placeholder has no value.
        ValueError: a value has no placeholder.
    """
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        indent: str = match[1] or ""
        used.add(match[2])
        return indent + values[match[2]].replace("\n", f"\n{indent}")

    text = re.sub(r"(^ *(?:# )?)?<<([a-z-]+)>>", value, template, flags=re.MULTILINE)
    if unused := values.keys() - used:
        raise ValueError(f"the template has no placeholder for {', '.join(sorted(unused))}")
    return text


def _runs(matrix: Matrix) -> Iterator[str]:
    """List each run with its time in UTC, and the cells that it builds, by pair."""
    if not matrix.schedule.runs:
        yield "none"
    for run in matrix.schedule.runs:
        yield f"{matrix.schedule.describe_run(run)}; cron {matrix.schedule.format_cron(run)}"
        pairs: dict[str, list[str]] = {}
        for cell in match_cells(matrix, phase=run.phases):
            pairs.setdefault(cell.pair_id, []).append(cell.target)
        yield from (f"  {pair}: {', '.join(targets)}" for pair, targets in pairs.items())
        if not pairs:
            yield "  no cell: those of its phases are excluded, or built only if they are named"


def _crons(schedule: Schedule) -> Iterator[str]:
    yield "schedule:" if schedule.runs else "# Nothing is scheduled."
    for run in schedule.runs:
        yield f'  - cron: "{schedule.format_cron(run)}"  # {schedule.describe_run(run)}'


def _filters(schedule: Schedule) -> Iterator[str]:
    """List the filters of a run as variables: from the form, or from the schedule for phases."""
    yield from (f"{name.upper()}: ${{{{ inputs.{name} }}}}" for name in ("cuda", "python", "target", "only"))
    yield "PHASE: >-"
    yield "  ${{ inputs.phase"
    for run in schedule.runs:
        if run.phases:
            phases = ",".join(map(str, run.phases))
            yield f"  || (github.event.schedule == '{schedule.format_cron(run)}' && '{phases}')"
    yield "  || '' }}"


def _inputs(matrix: Matrix) -> dict[str, str]:
    """Return the inputs of a run by hand: each filter, with its accepted values."""
    values: dict[str, Iterable[object]] = {
        "cuda": (pair.cuda for pair in matrix.pairs),
        "python": (pair.python for pair in matrix.pairs),
        "target": matrix.targets,
        "phase": matrix.phases,
        "only": ["globs over cell ids"],
    }
    several = "several with commas; empty: no filter"
    return {
        name: f"{', '.join(map(str, dict.fromkeys(known)))} ({several})" for name, known in values.items()
    }


def _template(name: str) -> str:
    return _resource(f"templates/{name}")


def _shell(name: str) -> str:
    """Return the commands of a shell template, without comments."""
    return "".join(
        line for line in _template(f"{name}.sh").splitlines(keepends=True) if not line.startswith("#")
    ).strip()


def _resource(name: str) -> str:
    return resources.files("ci.generate").joinpath(name).read_text("utf-8")
