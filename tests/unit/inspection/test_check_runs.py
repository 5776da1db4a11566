"""Which checks count from the image below; a stand-in answers for the engine, and remembers what ran where."""

from collections import Counter

import anyio
import anyio.lowlevel
import pytest

from ci.inspection.check_runs import CheckRuns, SharedResults
from ci.inspection.checks import CHECK_NEEDS, checks_for
from ci.inspection.limiter import Capacity, CheckLimiter
from ci.inspection.verify import CheckResult
from ci.plan.plan import Plan
from ci.stages.builder import ImageBuilder, StageCache
from ci.stages.context import BuildContext
from tests.stand_ins.stand_in_engine import StandInEngine, instead_of_an_engine
from tests.unit.plans import plan

PAIR = "cu12.8.1-py3.13"
RUNTIME, RAY, MARIMO = (f"{PAIR}-{name}" for name in ("runtime", "ray-runtime", "marimo-runtime"))
PLANS = [plan(name, "registries") for name in (RUNTIME, RAY, MARIMO)]
EVERYWHERE = {"versions", "imports", "pip_check", "bytecode", "copied_packages"}

Results = dict[str, tuple[list[CheckResult], tuple[str, ...]]]


async def check(engine: StandInEngine, plans: list[Plan] = PLANS, *, everywhere: bool = False) -> Results:
    """Check the images of some plans, in this order, as one sweep does; return results and notes by image."""
    with instead_of_an_engine(engine):
        limiter, cache = CheckLimiter(Capacity(4, 16.0)), StageCache()
        runs = CheckRuns(limiter, plans, everywhere=everywhere)
        builders = [ImageBuilder(made, BuildContext(), None, cache) for made in plans]
        return {builder.plan.id: await runs.run(builder) for builder in builders}


def places(results: Results, name: str) -> dict[str, str]:
    """Return in which image each check of an image ran, where that is another one."""
    return {one.name: one.ran_in for one in results[name][0] if one.ran_in}


def names(made: Plan) -> list[str]:
    """Return the names of a plan's checks."""
    return [check.name for check in checks_for(made)]


@pytest.mark.parametrize("plans", [PLANS, PLANS[::-1]], ids=["lowest first", "highest first"])
async def test_each_check_runs_once_in_the_lowest_image_that_it_depends_on(plans: list[Plan]) -> None:
    engine = StandInEngine()
    results = await check(engine, plans)
    below = {name: RUNTIME for name in names(PLANS[0]) if name not in EVERYWHERE}
    assert places(results, RUNTIME) == {}
    assert places(results, RAY) == below
    assert places(results, MARIMO) == {**below, "ray_task": RAY}
    for made in PLANS:
        assert [one.name for one in results[made.id][0]] == names(made), "none is left out, in the same order"
        assert results[made.id][1] == ()
    assert Counter(engine.ended) == Counter(
        [
            *((RUNTIME, name) for name in names(PLANS[0])),
            *((RAY, name) for name in (*EVERYWHERE, "ray_task")),
            *((MARIMO, name) for name in (*EVERYWHERE, "marimo_page", "completion")),
        ]
    )


async def test_every_check_runs_in_every_image_if_that_is_asked_for() -> None:
    engine = StandInEngine()
    results = await check(engine, everywhere=True)
    assert not any(places(results, made.id) for made in PLANS)
    assert Counter(engine.ended) == Counter((made.id, name) for made in PLANS for name in names(made))


async def test_above_a_layer_that_changes_a_file_below_everything_runs_and_a_note_says_so() -> None:
    engine = StandInEngine()
    engine.changes = ["replaces bin/tool", "shadows the module six"]
    results = await check(engine)
    assert Counter(engine.ended) == Counter((made.id, name) for made in PLANS for name in names(made))
    assert results[RAY][1] == ("checks run again above ray: it replaces bin/tool and 1 more",)
    assert [note.partition(":")[0] for note in results[MARIMO][1]] == [
        "checks run again above ray",
        "checks run again above marimo",
    ]


async def test_a_check_that_failed_below_runs_in_the_image_itself() -> None:
    engine = StandInEngine((f"{RUNTIME}: /opt/env/bin/python /run/cslr-images/checks/train_step.py",))
    results = await check(engine)
    assert [one.name for one in results[RUNTIME][0] if not one.passed] == ["train_step"]
    for name in (RAY, MARIMO):
        assert all(one.passed for one in results[name][0])
    assert "train_step" not in places(results, RAY)
    assert places(results, MARIMO)["train_step"] == RAY


async def test_a_check_that_fails_in_every_image_is_reported_for_each() -> None:
    results = await check(StandInEngine(("checks/train_step.py",)))
    for made in PLANS:
        assert [(one.name, one.ran_in) for one in results[made.id][0] if not one.passed] == [
            ("train_step", "")
        ]


async def test_only_images_of_the_same_sweep_count() -> None:
    engine = StandInEngine()
    results = await check(engine, [PLANS[1]])
    assert places(results, RAY) == {}
    assert {title for title, _ in engine.ended} == {RAY}


def test_checks_of_all_packages_depend_on_every_layer() -> None:
    assert {name for name, needs in CHECK_NEEDS.items() if not needs.independent_of} == {
        *EVERYWHERE,
        "marimo_page",
        "completion",
    }
    assert CHECK_NEEDS["ray_task"].independent_of == ("marimo",)


async def test_a_result_is_made_once_while_others_wait_for_it() -> None:
    shared: SharedResults[str, int] = SharedResults()
    made: list[int] = []

    async def make() -> int:
        await anyio.lowlevel.checkpoint()
        made.append(1)
        return 7

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(shared.get, "key", make)
    assert (len(made), await shared.get("key", make)) == (1, 7)


async def test_whoever_waits_makes_the_result_that_another_could_not_make() -> None:
    shared: SharedResults[str, int] = SharedResults()
    found: list[int] = []

    async def fail() -> int:
        await anyio.lowlevel.checkpoint()
        raise ConnectionError("gone")

    async def hang() -> int:
        await anyio.sleep_forever()
        raise AssertionError

    async def give() -> int:
        return 7

    async def first() -> None:
        with pytest.raises(ConnectionError):
            await shared.get("failed", fail)

    async def second(key: str) -> None:
        found.append(await shared.get(key, give))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            group.start_soon(second, "failed")
        async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
            inner.start_soon(shared.get, "cancelled", hang)
            await anyio.lowlevel.checkpoint()
            outer.start_soon(second, "cancelled")
            await anyio.lowlevel.checkpoint()
            inner.cancel_scope.cancel()
    assert found == [7, 7]
