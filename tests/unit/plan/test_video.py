"""The stage that adds packages for video: what it installs, where it lies, and how it is switched off."""

import pytest

from ci.generate.dockerfile import dockerfile
from ci.inspection.checks import checks_for
from ci.plan.bundle_inputs import list_stage_inputs
from ci.plan.layers import layer_names
from ci.plan.lint import lint_locks
from ci.plan.requirements import STAGES, list_locked_stages, write_requirements
from ci.plan.stages.image import ImageSpec
from ci.plan.stages.video import VideoSpec, place_ffmpeg_command
from ci.stages.builder import ImageBuilder
from ci.stages.context import BuildContext
from tests.unit.plans import TARGETS, digests, inputs, locks, matrix_with, plan, reason
from tests.unit.user_errors import mistake

CELL = "cu12.8.1-py3.13-runtime"
OFF = "video.enabled = false"


@pytest.mark.parametrize("target", TARGETS)
def test_every_image_has_it_as_its_first_layer_on_the_environment(target: str) -> None:
    made = plan(f"cu13.1.1-py3.14-{target}", "registries")
    assert layer_names(made)[:3] == ["libraries", "pack", "video"]
    assert "video" in [check.name for check in checks_for(made)]


def test_without_it_nothing_of_it_is_there() -> None:
    made = plan(CELL, changes=OFF)
    assert not made.has("video")
    assert "video" not in [check.name for check in checks_for(made)]
    assert not {"io.cslr-images.av", "io.cslr-images.torchcodec"} & set(
        made.spec("image", ImageSpec).all_labels
    )
    before, after = digests(plan(CELL)), digests(made)
    assert {name for name in after if after[name] != before[name]} == {"pack", "image"}


@pytest.mark.parametrize(
    ("cell", "sources", "first"),
    [
        (CELL, "upstream", "torchcodec===0.11.1"),
        ("cu13.1.1-py3.14-devel", "upstream", "torchcodec===0.16.0"),
        ("cpu-py3.13-devel", "upstream", "torchcodec===0.11.1"),
    ],
)
def test_a_build_for_the_cpu_is_taken_where_the_pin_is_one(cell: str, sources: str, first: str) -> None:
    spec = plan(cell, sources).spec("video", VideoSpec)
    assert spec.install.requirements == f"{first}\nav==18.1.0\n"
    assert spec.install.frozen


def test_registries_have_a_lock_with_hashes() -> None:
    spec = plan(CELL, "registries").spec("video", VideoSpec)
    assert spec.install.hashed
    assert "torchcodec==0.10.0 " in spec.install.requirements


def test_opencv_is_a_choice() -> None:
    made = plan(CELL, changes="video.opencv = true")
    assert "opencv-python-headless==5.0.0.93\n" in made.spec("video", VideoSpec).install.requirements
    assert made.spec("image", ImageSpec).all_labels["io.cslr-images.opencv"] == "5.0.0.93"
    assert reason(made, "video").endswith("OpenCV 5.0.0.93")
    locked = plan(CELL, "registries", changes="video.opencv = true")
    assert "the lock of stage video is for other pins: installed by version, without hashes" in locked.notes


def test_the_plan_says_where_it_decodes() -> None:
    assert "torchcodec 0.16.0 (decodes on CPU and GPU)" in reason(plan("cu13.1.1-py3.14-devel"), "video")
    assert "torchcodec 0.10.0 (decodes on CPU)" in reason(plan(CELL, "registries"), "video")
    assert "torchcodec 0.16.0 (decodes on CPU)" in reason(plan("cpu-py3.13-devel", "registries"), "video")


def test_a_torch_without_a_torchcodec_is_a_mistake() -> None:
    matrix = 'cuda."12.9.0".wheel_tag = "cu129"\narchs.upstream."12.9.0" = "9.0"\n'
    matrix += 'torch.upstream."12.9.0" = { torch = "2.11.0", torchvision = "0.26.0", torchaudio = "2.11.0" }'
    toolkit = 'toolkit."12.9.0" = { provider = "image", compiler = "12.9.41" }'
    assert mistake(lambda: plan("cu12.9.0-py3.13-devel", changes=matrix, mirrors=toolkit)) == (
        'matrix: [torch.upstream."12.9.0"] has no torchcodec, which [video] needs unless it has enabled = false'
    )
    assert plan("cu12.9.0-py3.13-devel", changes=f"{matrix}\n{OFF}", mirrors=toolkit)


def test_a_bundle_has_the_packages() -> None:
    made = plan(CELL, "registries")
    (found,) = list_stage_inputs(made.stage("video"), made.cell).values()
    assert (found.kind, found.name) == ("wheels", "cu12.8.1-py3.13-video")


def test_the_same_commands_run_with_dagger_and_in_a_dockerfile() -> None:
    made = plan(CELL, "registries")
    steps = ImageBuilder(made, BuildContext()).steps()
    command = place_ffmpeg_command(made.spec("video", VideoSpec))
    assert [step.command for step in steps if step.stage == "video"][1:] == [tuple(command)]
    text = dockerfile([made], "dockerfiles/x", locks().paths_by_text())["Dockerfile"]
    assert "FROM pyg AS video\n" in text
    assert " ".join(command) in text
    assert "/video.txt,target=/run/requirements.txt" in text  # the locks of both Pythons are equal


def test_locks_are_asked_for_only_where_it_is_on() -> None:
    assert list_locked_stages(matrix_with()) == STAGES
    assert list_locked_stages(matrix_with(OFF)) == tuple(stage for stage in STAGES if stage != "video")
    assert lint_locks(inputs("registries", changes=OFF)) == "18 locks are what the matrix asks for\n"
    assert "video.txt" in mistake(lambda: lint_locks(inputs("registries", changes='video.av = "18.0.0"')))


def test_a_matrix_without_the_table_has_none() -> None:
    bare = matrix_with().model_copy(update={"video": None})
    assert not bare.has_video
    assert write_requirements("video", bare, bare.torch["upstream"]["cpu"]) == ""
