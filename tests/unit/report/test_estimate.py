"""What is said before a build: which stages run, how long they may take, and the disk that they need."""

from dataclasses import replace

from ci.report.estimate import BuildEstimate, describe_estimate, estimate_build, read_table
from ci.util.units import format_duration
from tests.unit.plans import digests, plan

RUNTIME, RAY = (
    plan("cu12.8.1-py3.13-runtime", "registries"),
    plan("cu12.8.1-py3.13-ray-runtime", "registries"),
)


def test_every_stage_of_a_plan_has_a_measured_time() -> None:
    for made in (RAY, plan("cu13.1.1-py3.14-marimo-devel", "registries"), plan("cpu-py3.13-devel")):
        assert {stage.name for stage in made.stages} <= set(read_table().stages)


def test_without_records_times_are_guessed_and_only_the_compile_gets_faster_by_cores() -> None:
    two = estimate_build([RAY], {}, 2, finishes=False)
    sixteen = estimate_build([RAY], {}, 16, finishes=False)
    wheels = read_table().stages["wheels"].seconds
    assert round(two.seconds - sixteen.seconds) == round(wheels * 7 / 8)
    lines = describe_estimate(two, cores=2, free_gb=100)
    assert lines[0] == "1 image, 12 stages:"
    assert f"  wheels: about {format_duration(wheels)}" in lines
    assert "a guess" in lines[-2]
    assert lines[-1] == "about 28 GB of disk, of 100 GB that are free"


def test_a_stage_that_the_engine_has_built_is_probably_cached() -> None:
    known = dict.fromkeys(digests(RAY).values(), 60.0)
    new = digests(RAY)["ray"]
    del known[new]
    estimate = estimate_build([RAY], known, 2, finishes=False)
    assert estimate.seconds == read_table().stages["ray"].seconds
    lines = describe_estimate(estimate, cores=2, free_gb=100)
    assert lines[1].startswith("  ray: about ")
    assert lines[2].startswith("  probably cached: channel, toolkit, base, conda, torch, wheels, pyg")
    assert lines[-1].startswith("about 0 GB of disk")


def test_a_shared_stage_counts_once_and_what_is_left_gets_less() -> None:
    estimate = estimate_build([RUNTIME, RAY], {}, 2, finishes=True)
    alone = estimate_build([RAY], {}, 2, finishes=True)
    finish = read_table().finish.seconds
    assert estimate.disk_gb == alone.disk_gb
    assert estimate.seconds_left([RUNTIME.id, RAY.id], []) == estimate.seconds
    left = estimate.seconds_left([RAY.id], digests(RUNTIME).values())
    assert finish < left < finish + 60
    assert estimate.seconds_left([], []) == 0
    torch = format_duration(read_table().stages["torch"].seconds)
    assert f"  torch of {RUNTIME.id}: about {torch}, shared by 2 images" in describe_estimate(
        estimate, cores=2, free_gb=1
    )


def test_a_stage_of_unknown_time_adds_nothing() -> None:
    stage = estimate_build([RAY], {}, 2, finishes=False).stages[0]
    unknown = replace(stage, seconds=None, built=False)
    assert BuildEstimate(stages=(unknown,), cells=("a", "b"), finish=3.0, disk_gb=0.0).seconds == 6.0
