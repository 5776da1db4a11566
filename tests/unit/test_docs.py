"""The pages that people read name only files that exist, and the map names every package."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/contributing.md", "engine/README.md")
# A path in the repository: its first folder says so.
PATHS = re.compile(r"`((?:ci|tests|engine|docs|requirements|benchmarks|dockerfiles|\.github)/[\w./-]*)`")
LINKS = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")


def paths(page: str) -> set[str]:
    """Return the paths of the repository that a page names or links to; NAME stands for any name."""
    text = (ROOT / page).read_text("utf-8")
    links = {
        str((ROOT / page).parent.joinpath(link).resolve().relative_to(ROOT))
        for link, _ in LINKS.findall(text)
    }
    return {path for path in (*PATHS.findall(text), *links) if "NAME" not in path}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    assert sorted(path for path in paths(page) if not (ROOT / path).exists()) == []


def test_paths_are_found() -> None:
    assert {"ci/matrix.toml", "docs/contributing.md", "BENCHMARKS.md"} <= paths("README.md")
    assert {"ci/plan/tags.py", "engine/README.md", "tests/unit"} <= paths("docs/contributing.md")


def test_the_map_has_each_package() -> None:
    text = (ROOT / "docs/contributing.md").read_text("utf-8").split("## Architecture")[1].split("\n## ")[0]
    packages = {path.name for path in (ROOT / "ci").iterdir() if any(path.glob("*.py"))}
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == packages
