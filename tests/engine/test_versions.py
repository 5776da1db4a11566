"""`latest` and `bump` against indexes on loopback, in the form that the originals document."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import dagger, succeed
from tests.stand_ins import small_stack
from tests.stand_ins.indexes import Indexes, indexes, project, repodata

MATRIX = small_stack.HERE / "matrix.toml"


@dataclass(frozen=True)
class Lookout:
    """The indexes, and the options that lead a call to them."""

    served: Indexes
    folder: Path

    def words(self, *changes: tuple[str, str]) -> list[str]:
        """Return the options of a call, with changes of the file of mirrors."""
        here = f"http://mirror:{self.served.port}"
        text = f"""
[images]
cpu = "debian:bookworm-slim"
glibc = "2.36"
tags = "{here}/v2/nvidia/cuda/tags/list"
[conda]
channels = ["{here}/channel"]
[wheels]
index = "{here}/simple"
torch = "{here}/whl/{{tag}}"
pyg = "{here}/pyg/torch-{{torch}}%2B{{tag}}.html"
"""
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        mirrors = self.folder / "mirrors.toml"
        mirrors.write_text(text, "utf-8")
        service = f"--mirror-service=tcp://127.0.0.1:{self.served.port}"
        return ["call", "--sources=upstream", f"--matrix-file={MATRIX}", f"--mirrors={mirrors}", service]

    def look(self, *changes: tuple[str, str]) -> dict[str, Any]:
        """Call `latest`."""
        found: dict[str, Any] = json.loads(succeed(*self.words(*changes), "latest", "--format=json"))
        return found


@pytest.fixture(scope="module")
def lookout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lookout]:
    # With the usual port the step that installs the tools is the one of an earlier run.
    with indexes(small_stack.usual_port() + 10_000) as served:
        fill(served)
        yield Lookout(served, tmp_path_factory.mktemp("versions"))


def fill(served: Indexes) -> None:
    """Serve the small stack's packages, torch 0.2.0 for CUDA 13.0 and Ray 0.2.0 for Python 3.13 alone."""
    torches: dict[str, dict[str, tuple[str, ...]]] = {
        "cu128": {"0.1.0": ("cp313", "cp314")},
        "cu130": {"0.1.0": ("cp314",), "0.2.0": ("cp314",)},
        "cpu": {"0.1.0": ("cp313",)},
    }
    for tag, versions in torches.items():
        for name in ("torch", "torchvision", "torchaudio"):
            files = []
            for version, abis in versions.items():
                for abi in abis:
                    wheel = f"{name}-{version}+{tag}-{abi}-{abi}-manylinux_2_28_x86_64.whl"
                    needs = "" if name == "torch" else f"Requires-Dist: torch=={version}\n"
                    served.pages[f"/whl/files/{wheel}.metadata"] = (
                        f"Metadata-Version: 2.1\nName: {name}\n{needs}"
                    )
                    files.append(wheel)
            served.pages[f"/whl/{tag}/{name}/"] = project(name, files, **{"core-metadata": True})
        page = f"pyg_lib-0.1.0%2Bpt01{tag}-cp310-abi3-linux_x86_64.whl"
        served.pages[f"/pyg/torch-0.1.0%2B{tag}.html"] = f'<a href="{page}">pyg_lib</a>'
    served.pages["/pyg/torch-0.2.0%2Bcu130.html"] = (
        '<a href="pyg_lib-0.1.0%2Bpt02cu130-cp310-abi3-linux_x86_64.whl">pyg_lib</a>'
    )
    for name, files in {
        "torch": ["torch-0.2.0-cp314-cp314-manylinux_2_28_x86_64.whl"],
        "torch-geometric": ["torch_geometric-0.1.0-py3-none-any.whl"],
        "torch-scatter": ["torch_scatter-0.1.0.tar.gz", "torch_scatter-0.1.1.tar.gz"],
        "torch-spline-conv": ["torch_spline_conv-0.1.0.tar.gz"],
        "pyg-lib": ["pyg_lib-0.1.0.tar.gz"],
        "ray": [
            "ray-0.1.0-py3-none-any.whl",
            "ray-0.2.0-cp313-cp313-manylinux2014_x86_64.whl",
        ],
        "marimo": [
            "marimo-0.1.0-py3-none-any.whl",
            "marimo-0.1.1-py3-none-any.whl",
            "marimo-0.2.0rc1-py3-none-any.whl",
        ],
    }.items():
        served.pages[f"/simple/{name}/"] = project(name, files)
    kinds = ("base", "cudnn-devel")
    cudas = [f"{cuda}-{kind}-ubuntu24.04" for cuda in ("12.8.1", "13.1.1", "13.1.2") for kind in kinds]
    served.pages["/v2/nvidia/cuda/tags/list"] = json.dumps(cudas)
    served.pages["/channel/linux-64/repodata.json"] = repodata("3.13.5", "3.14.3")


def by_name(found: dict[str, Any]) -> dict[str, Any]:
    """Return the findings by name."""
    return {one["name"]: one for one in found["findings"]}


def test_newer_versions_are_found_on_every_index_and_asked_for_conditionally(lookout: Lookout) -> None:
    found = lookout.look()
    assert found["unread"] == []
    newest = {name: (one["newest"], one["takes"]) for name, one in by_name(found).items()}
    assert newest["cuda@13.1.1"] == ("13.1.2", None)
    assert newest["python@3.14"] == ("3.14.3", None)
    assert newest["torch@12.8.1"] == ("0.2.0", None)
    assert newest["torch@13.1.1"] == ("0.2.0", "0.2.0")
    assert newest["torch-scatter"] == ("0.1.1", "0.1.1")
    assert newest["ray"] == ("0.2.0", None)
    assert newest["marimo"] == ("0.1.1", "0.1.1")
    assert newest["uv"][0], "what the mirror has not is the package index's own"
    offer = by_name(found)["torch@13.1.1"]["offers"][0]
    assert offer["effects"][0]["extensions"] == {
        "torch-scatter": "compile",
        "torch-spline-conv": "compile",
        "pyg-lib": "wheel",
    }

    lookout.served.answered.clear()
    assert lookout.look() == found
    assert lookout.served.count(304) >= 15
    again = {path.partition("?")[0] for path, status in lookout.served.answered if status == 200}
    assert again == {"/v2/nvidia/cuda/tags/list", "/token"}, "a registry gives no validators"
    assert not [path for path, _ in lookout.served.answered if path.endswith(".metadata")]


def test_an_index_that_cannot_be_reached_is_said_and_the_others_are_looked_at(lookout: Lookout) -> None:
    served = lookout.served
    found = lookout.look(
        (f'channels = ["http://mirror:{served.port}/channel"]', 'channels = ["http://127.0.0.1:9/channel"]')
    )
    assert [one["address"] for one in found["unread"]] == ["http://127.0.0.1:9/channel"]
    assert "refused" in found["unread"][0]["problem"]
    python = by_name(found)["python"]
    assert (python["newest"], python["offers"]) == (None, [])
    assert by_name(found)["marimo"]["takes"] == "0.1.1"


def test_bump_writes_the_matrix_and_keeps_its_comments(lookout: Lookout, tmp_path: Path) -> None:
    target = tmp_path / "matrix.toml"
    succeed(*lookout.words(), "bump", "--format=toml", f"--output={target}")
    before, after = MATRIX.read_text("utf-8"), target.read_text("utf-8")
    row = '"13.1.1" = { torch = "0.1.0", torchvision = "0.1.0", torchaudio = "0.1.0", torchcodec'
    assert row in before
    wanted = before.replace(row, row.replace("0.1.0", "0.2.0"), 1)
    wanted = wanted.replace('torch-scatter = { version = "0.1.0"', 'torch-scatter = { version = "0.1.1"')
    wanted = wanted.replace('[marimo]\nversion = "0.1.0"', '[marimo]\nversion = "0.1.1"')
    assert after == wanted


def test_bump_refuses_what_breaks_a_cell(lookout: Lookout) -> None:
    answer = dagger(*lookout.words(), "bump", "--to=ray=0.2.0")
    assert answer.error == (
        "FunctionError: ray does not go to 0.2.0: cu12.8.1-py3.14: ray 0.2.0 has no cp314 wheel; "
        "cells that [[excludes]] of the matrix names do not count"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("latest", "--format=yaml"), "unknown format 'yaml'; accepted: text, json"),
        (("bump", "--to=ray"), "bad change 'ray'; accepted: NAME=VERSION, such as ray=2.60.0"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_read(words: tuple[str, ...], message: str) -> None:
    answer = dagger("call", *words)
    assert answer.status != 0
    assert answer.error == f"FunctionError: {message}"
    assert "Traceback" not in answer.err
    assert not answer.steps
