"""Generated files: the committed ones match the matrix, and index pages are remembered between machines."""

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ci import args
from ci.config.locks import Locks
from ci.config.matrix import default_matrix
from ci.config.selection import select_pair
from ci.config.sources import read_sources
from ci.generate.dockerfiles import write_dockerfiles
from ci.generate.files import COMMAND, RECORD, render_files
from ci.generate.reference import REFERENCE, render_reference
from ci.index.wheels import Pages, read_page
from ci.main import CslrImages
from ci.plan.code_digests import digest_code, read_code
from ci.plan.inputs import Options, PlanInputs
from ci.plan.planner import Planner
from ci.sdk.compat import own_fields
from tests.unit.plans import EXTENSIONS, inputs, locks, pyg_page

ROOT = Path(__file__).parents[3]


def shipped() -> dict[str, str]:
    """Return what the command would write, from the record of index pages."""
    matrix = default_matrix()
    name = matrix.dockerfiles.sources
    own = PlanInputs(
        matrix=matrix,
        sources_name=name,
        sources=read_sources(name),
        locks=locks(),
        code=digest_code(read_code()),
    )
    return {
        **render_files(own, Options(), {}),
        REFERENCE: render_reference(CslrImages, own_fields(CslrImages), vars(args), matrix),
    }


FILES = shipped()


@pytest.mark.parametrize("path", FILES)
def test_a_committed_file_is_what_the_matrix_gives(path: str) -> None:
    there = (ROOT / path).read_text("utf-8") if (ROOT / path).is_file() else ""
    assert there == FILES[path], f"{path} is stale: run {COMMAND}"


def test_no_dockerfile_is_left_over() -> None:
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "dockerfiles").rglob("*") if path.is_file()}
    assert there <= set(FILES), f"remove {sorted(there - set(FILES))}: nothing makes them any more"


def made(read: Pages, record: str = "{}", changes: str = "") -> dict[str, str]:
    """Make the files where some pages can be read, and a record says what was read before."""
    stand = inputs("upstream", changes=changes)
    files = {text: path for path, text in stand.locks.paths_by_text().items() if path != RECORD}
    lock = Locks(
        {path.removeprefix("ci/locks/"): text for path, text in files.items()} | {"pages.json": record}
    )
    own = PlanInputs(
        matrix=stand.matrix, sources_name="upstream", sources=stand.sources, locks=lock, code=stand.code
    )
    return render_files(own, Options(), read)


def test_a_page_that_was_read_once_is_planned_with_everywhere() -> None:
    page = pyg_page(EXTENSIONS)
    first = made({page.address: page})
    assert "ADD https://data.pyg.org/whl/torch-2.11.0%2Bcu128/" in first["dockerfiles/Dockerfile"]
    assert made({}, first[RECORD]) == first
    gone = replace(page, links=(), problem="no route")
    assert made({page.address: gone}, first[RECORD]) == first, (
        "a page that cannot be read now is not forgotten"
    )


def test_a_page_read_anew_takes_the_place_of_its_record() -> None:
    page = pyg_page(EXTENSIONS)
    before = made({page.address: page})
    less = pyg_page(["torch_scatter"])
    after = made({less.address: less}, before[RECORD])
    assert len(json.loads(after[RECORD])[page.address]) == 1
    assert after["dockerfiles/Dockerfile"].count("ADD ") == 1


def test_the_record_holds_only_wheels_that_the_matrix_can_take() -> None:
    page = pyg_page(EXTENSIONS)
    more = "".join(
        f'<a href="{link}"></a>'
        for link in (
            *page.links,
            "https://data.pyg.org/whl/other-1.0.0+pt211cu128-cp313-cp313-linux_x86_64.whl",
        )
    )
    files = made({page.address: read_page(page.address, more)})
    assert json.loads(files[RECORD]) == {page.address: list(page.links)}


def test_a_page_that_could_not_be_read_is_in_no_dockerfile() -> None:
    files = {path: text for path, text in made({}).items() if path.startswith("dockerfiles/")}
    assert [path for path, text in files.items() if "could not be read" in text or "no record" in text] == []
    text = files["dockerfiles/Dockerfile"]
    assert "# PyTorch Geometric, without pyg-lib: no wheel is known, and there is no source.\n" in text


def test_what_several_dockerfiles_read_is_there_once() -> None:
    files = made({})
    texts = Counter(text for path, text in files.items() if not path.endswith("Dockerfile"))
    assert max(texts.values()) == 1
    readers = [path for path, text in files.items() if "source=dockerfiles/sdists.txt," in text]
    assert readers == ["dockerfiles/Dockerfile", "dockerfiles/cpu.Dockerfile"]


def test_pairs_that_differ_in_more_than_arguments_have_files_of_their_own() -> None:
    page = pyg_page(["torch_scatter"])
    files = made({page.address: page})
    assert {path for path in files if path.startswith("dockerfiles/")} == {
        "dockerfiles/Dockerfile",
        "dockerfiles/cu12.8.1-py3.14.Dockerfile",
        "dockerfiles/cpu.Dockerfile",
        "dockerfiles/sdists.txt",
        "dockerfiles/cu12.8.1-py3.14/sdists.txt",
        "dockerfiles/rules.json",
        "dockerfiles/bytecode.txt",
        "dockerfiles/docker-bake.json",
    }
    for path, text in files.items():
        if path.endswith("Dockerfile"):
            assert set(re.findall(r"source=(dockerfiles/[^,]+),", text)) <= set(files)
    bake = json.loads(files["dockerfiles/docker-bake.json"])["target"]
    assert bake["_cu12_8_1-py3_13"] == {
        "inherits": ["_common"],
        "dockerfile": "dockerfiles/Dockerfile",
        "args": {"ARCHS": "7.5 8.0 8.6 9.0 10.0 12.0+PTX"},
    }
    assert bake["_cu13_1_1-py3_14"]["dockerfile"] == "dockerfiles/cu12.8.1-py3.14.Dockerfile"
    assert bake["_cu13_1_1-py3_14"]["args"]["CUDA"] == "13.1.1"


def test_an_excluded_cell_has_no_target_and_an_excluded_pair_no_dockerfile() -> None:
    changes = (
        '[[excludes]]\nonly = "cpu-*"\nreason = "no"\n[[excludes]]\nonly = "*-marimo-*"\nreason = "no"\n'
    )
    files = made({}, changes=changes)
    assert "dockerfiles/cpu.Dockerfile" not in files
    assert "AS marimo" not in files["dockerfiles/Dockerfile"]
    assert "marimo-devel-" not in files["dockerfiles/docker-bake.json"]
    some = made({}, changes='[[excludes]]\nonly = "*-py3.14-marimo-*"\nreason = "no"\n')
    assert " AS marimo-runtime\n" in some["dockerfiles/Dockerfile"]
    assert 'title="cu${CUDA}-py${PYTHON}-marimo-runtime"' in some["dockerfiles/Dockerfile"]
    assert "py3_14-marimo" not in some["dockerfiles/docker-bake.json"]


def test_one_pair_alone_needs_no_arguments_but_the_architectures() -> None:
    stand = inputs("upstream")
    plans = [Planner(stand, {}).plan(cell) for cell in select_pair(stand.matrix, "12.8.1", "3.13")]
    found = write_dockerfiles(plans, stand.matrix, stand.locks.paths_by_text())
    assert set(found.files) == {
        f"dockerfiles/{name}" for name in ("Dockerfile", "sdists.txt", "rules.json", "bytecode.txt")
    }
    assert list(found.pairs["cu12.8.1-py3.13"].arguments) == ["ARCHS"]
