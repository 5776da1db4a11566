"""Previews as text and as JSON, as `dagger call plan` prints them."""

import json
import re
from dataclasses import replace

import pytest

from ci.config.selection import select_cells
from ci.history.history import History
from ci.history.records import BuildRecord, LayerSize, StageRun
from ci.plan.inputs import Options
from ci.plan.plan import Plan, select_changed_plans
from ci.sweep.preview import PlanPreview, excluded_cells, github_matrix, preview, render_json, render_text
from ci.util.errors import UserError
from tests.unit.plans import CELLS, explain, matrix_with, plan, pyg_page

DIGEST = re.compile(r"\b[0-9a-f]{12}\b")


def words(text: str) -> str:
    """Return a text with its digests left out."""
    return DIGEST.sub("…", text)


def test_a_plan_is_printed_as_a_table_of_stages_with_reasons_and_notes() -> None:
    made = plan(
        "cu13.1.1-py3.14-ray-runtime", page=pyg_page(["torch_scatter", "pyg_lib"], "cp314", tag="cu130")
    )
    missing = "no cp314 wheel on the PyG page for torch 2.11.0+cu130"
    assert words(explain(made)) == (
        "cu13.1.1-py3.14-ray-runtime  plan …\n"
        "  toolkit       …  compiler and headers out of nvidia/cuda:13.1.1-cudnn-devel-ubuntu24.04\n"
        "  base          …  compilers and tools on nvidia/cuda:13.1.1-cudnn-devel-ubuntu24.04\n"
        "  conda         …  CPython 3.14 at /opt/env\n"
        "  torch         …  torch 2.11.0 built for CUDA 13.0\n"
        "  wheels        …  compile torch-sparse==0.6.18, torch-cluster==1.6.3, torch-spline-conv==1.2.2"
        " for 7.5 8.0 8.6 9.0 10.0 12.0+PTX\n"
        "  pyg           …  pyg-lib 0.8.0: wheel; torch-scatter 2.1.2: wheel;"
        f" torch-sparse 0.6.18: compile ({missing}); torch-cluster 1.6.3: compile ({missing});"
        f" torch-spline-conv 1.2.2: compile ({missing})\n"
        "  video         …  torchcodec 0.16.0 (decodes on CPU and GPU); PyAV 18.1.0 with FFmpeg's libraries\n"
        "  ray           …  Ray 2.60.0 from the package index\n"
        "  runtime-base  …  compilers for JIT on nvidia/cuda:13.1.1-base-ubuntu24.04;"
        " torch's wheels bring CUDA's libraries\n"
        "  pack          …  the environment as conda-pack exports it for /opt/env, for variant default\n"
        "  image         …  cu13.1.1-py3.14-ray-runtime: user, environment, labels\n"
        "  note: PyTorch publishes no cu131 wheels: cu130 with the 13.1 toolkit"
        " (a minor difference, which torch accepts)\n"
    )


def test_the_digests_are_the_stages_own() -> None:
    made = plan("cu12.8.1-py3.13-runtime")
    digests = DIGEST.findall(explain(made))
    assert digests == [made.digest[:12], *(stage.digest[:12] for stage in made.stages)]


def test_a_note_cannot_forge_a_line() -> None:
    # A note of the matrix is refused before; one that is made of other values is folded.
    made = replace(plan("cu12.8.1-py3.13-devel"), notes=("a\n  image  forged\u001b[2J",))
    assert "  note: a image forged?[2J\n" in explain(made)
    assert len(explain(made).splitlines()) == 1 + len(made.stages) + len(made.notes)


def made(*ids: str, history: History | None = None) -> PlanPreview:
    return preview([plan(name, "registries") for name in ids], {}, history or History())


def record(made_plan: Plan, *, seconds: float, size: int) -> BuildRecord:
    stages = tuple(StageRun(name=s.name, digest=s.digest, seconds=seconds) for s in made_plan.stages)
    return BuildRecord(
        run="r",
        cell=made_plan.cell.id,
        plan=made_plan.digest,
        sources="registries",
        status="ok",
        started="2026-11-22T02:00:00Z",
        stages=stages,
        size=size,
    )  # fmt: skip


def test_a_shared_stage_is_printed_once() -> None:
    found = made(*CELLS)
    assert found.stages == len({stage.digest for cell in found.cells for stage in cell.stages})
    printed = render_text(found)
    assert printed.count("compile torch-scatter==2.1.2") == 3
    assert f"  shared with {CELLS[0]}: " in printed
    assert f"18 cells: {found.stages} stages to build, {found.shared} times shared" in printed
    assert printed.count("note: PyTorch publishes no cu131 wheels") == 1


def test_times_and_sizes_come_from_records_and_nothing_is_guessed() -> None:
    one = plan(CELLS[0], "registries")
    history = History((record(one, seconds=60, size=8_000_000_000),))
    found = preview([one, plan(CELLS[1], "registries")], {}, history)
    assert found.seconds == 60 * len(one.stages)
    assert found.unknown == found.stages - len(one.stages)
    assert found.size == 8_000_000_000
    assert (found.cells[0].built_as_planned, found.cells[1].built_as_planned) == (True, False)
    assert "stages without a record" in render_text(found)
    assert "by the records" not in render_text(made(CELLS[0]))


def test_layers_that_images_share_are_summed_once() -> None:
    plans = [plan(name, "registries") for name in CELLS[:2]]
    shared = LayerSize(name="pack", size=7_000_000_000, key="environment")
    history = History(
        tuple(
            record(one, seconds=60, size=8_000_000_000).model_copy(
                update={"layers": (LayerSize(name="base", size=1_000_000_000, key=one.id), shared)}
            )
            for one in plans
        )
    )
    found = preview(plans, {}, history)
    assert (found.size, found.unique_size) == (16_000_000_000, 9_000_000_000)
    assert "16.0 GB of images, 9.0 GB with shared layers counted once" in render_text(found)


def test_a_stage_that_changed_has_no_time() -> None:
    old = plan(CELLS[0], "registries")
    new = plan(CELLS[0], "registries", options=Options(archs="9.0"))
    found = preview([new], {}, History((record(old, seconds=60, size=1),)))
    timed = {stage.name for stage in found.cells[0].stages if stage.seconds is not None}
    assert {"base", "torch"} <= timed
    assert not {"wheels", "pyg", "image"} & timed
    assert found.cells[0].built_as_planned is False


def test_excluded_cells_are_printed_with_the_reason() -> None:
    changes = '[[excludes]]\nonly = "cu12*-py3.14-*"\nreason = "no cp314 wheel"\n'
    matrix = matrix_with(changes)
    chosen = select_cells(matrix, cuda=["12.8.1"])
    assert len(chosen) == 6
    assert excluded_cells(matrix, chosen) == {}
    assert len(excluded_cells(matrix, matrix.cells)) == 6
    found = preview([], excluded_cells(matrix, matrix.cells), History())
    assert "left out: cu12.8.1-py3.14-devel: no cp314 wheel" in render_text(found)


def test_the_json_has_a_key_for_each_field_and_excluded_cells_are_left_out() -> None:
    matrix = matrix_with('[[excludes]]\nonly = "cu12*-py3.14-devel"\nreason = "no cp314 wheel"\n')
    data = json.loads(render_json(preview([], excluded_cells(matrix, matrix.cells), History())))
    keys = ["cells", "left_out", "stages", "shared", "unknown", "seconds", "size", "unique_size"]
    assert list(data) == keys
    assert data["left_out"] == [{"cell": "cu12.8.1-py3.14-devel", "reason": "no cp314 wheel"}]


def test_the_form_for_github_is_a_strategy_matrix() -> None:
    include = github_matrix([plan(CELLS[3], "registries")])["include"]
    assert include == [{"cell": CELLS[3], "cuda": "12.8.1", "python": "3.13", "target": "ray-runtime"}]


def test_unchanged_plans_are_not_built_again() -> None:
    plans = [plan(name, "upstream") for name in ("cu12.8.1-py3.13-devel", "cu12.8.1-py3.13-ray-runtime")]
    before = render_json(preview(plans, {}, History()))
    assert select_changed_plans(plans, before, "before.json") == []
    newer = [plan(made.cell.id, "upstream", changes='[ray]\nversion = "2.60.1"\n') for made in plans]
    assert [made.id for made in select_changed_plans(newer, before, "before.json")] == [
        "cu12.8.1-py3.13-ray-runtime"
    ]
    assert select_changed_plans(plans, '{"cells": []}', "before.json") == plans, (
        "what was not there before is new"
    )


@pytest.mark.parametrize(
    "given", ["", "[]", "{}", '{"cells": [1]}', '{"cells": [{"cell": "x"}]}', '"x"', "[" * 10_000]
)
def test_a_file_without_plans_is_refused(given: str) -> None:
    with pytest.raises(UserError, match=r"^before\.json: not plans as `plan --format json` prints them$"):
        select_changed_plans([], given, "before.json")


def test_an_empty_selection_is_named_and_empty_for_github() -> None:
    assert render_text(preview([], {}, History())) == "no cell to build\n"
    assert github_matrix([]) == {"include": []}
