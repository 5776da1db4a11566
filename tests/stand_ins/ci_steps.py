"""Read the steps of the generated CI files."""

from collections.abc import Iterator
from typing import Any

import yaml

from ci.config.matrix import Matrix, default_matrix
from ci.generate.ci_files import GITHUB, render_ci_files


def read(path: str, matrix: Matrix | None = None) -> dict[str, Any]:
    """Parse a generated CI file of a matrix; YAML reads its key `on` as a boolean."""
    content: dict[Any, Any] = yaml.safe_load(render_ci_files(matrix or default_matrix())[path])
    return {"on" if key is True else key: value for key, value in content.items()}


def steps(job: str) -> Iterator[dict[str, Any]]:
    """Yield the steps of a job of GitHub's file."""
    yield from read(GITHUB)["jobs"][job]["steps"]


def script(job: str, name: str) -> str:
    """Return the script that a step of GitHub's file runs."""
    return next(str(step["run"]) for step in steps(job) if step.get("name") == name)
