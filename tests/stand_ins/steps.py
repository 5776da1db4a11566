"""The steps of the generated CI files, to read and to run."""

from collections.abc import Iterator
from typing import Any

import yaml

from ci.config.matrix import Matrix, default_matrix
from ci.generate.ci_files import GITHUB, render_ci_files


def read(path: str, matrix: Matrix | None = None) -> dict[str, Any]:
    """Read a CI file of a matrix; `on` is a truth value in YAML."""
    found: dict[Any, Any] = yaml.safe_load(render_ci_files(matrix or default_matrix())[path])
    return {"on" if key is True else key: value for key, value in found.items()}


def steps(job: str) -> Iterator[dict[str, Any]]:
    """Give the steps of a job of GitHub's file."""
    yield from read(GITHUB)["jobs"][job]["steps"]


def script(job: str, name: str) -> str:
    """Return what a step of GitHub's file runs."""
    return next(str(step["run"]) for step in steps(job) if step.get("name") == name)
