"""Build one image stage by stage, and say what is done and what can be done with it."""

import time
from functools import partial

import anyio
import dagger
from dagger import ReturnType
from dagger.telemetry import get_tracer

from ci.config.matrix import Cell
from ci.plan.stage import Stage
from ci.session.history import load_history, open_store
from ci.session.jobs import run_jobs
from ci.session.log import say, say_stage
from ci.session.session import Session
from ci.stages.builder import ImageBuilder
from ci.sweep.announce import announce_build
from ci.util.units import format_duration, format_size

_MEASURE = ["du", "--summarize", "--one-file-system", "--block-size=1", "/"]


async def build_image(session: Session, cell: Cell) -> dagger.Container:
    """Build the image of a cell and return it."""
    plan = await session.plan(cell)
    store = open_store(session)
    announce_build([plan], await load_history(store, None), finishes=False)
    builder, started = ImageBuilder(plan, session.context), time.monotonic()
    built: list[str] = []
    done = {stage.name: anyio.Event() for stage in plan.stages}

    async def build(stage: Stage) -> None:
        for parent in stage.parents:
            await done[parent.name].wait()
        name, begun = f"{plan.id}: {stage.name}", time.monotonic()
        with say_stage(name), get_tracer().start_as_current_span(name):
            await builder.build_stage(stage.name)
        built.append(f"{stage.digest} {time.monotonic() - begun:.1f}\n")
        done[stage.name].set()

    try:
        await run_jobs(partial(build, stage) for stage in plan.stages)
    finally:
        if built:
            await store.append_stages("".join(built))
    image = builder.image()
    seconds = time.monotonic() - started
    say(f"built {plan.id} in {format_duration(seconds)}: {format_size(await measure_files(image))} on disk")
    name = f"{session.matrix.image.name}:{cell.target}"
    for line in (
        f"export:  {session.command_line('build', cell, 'export', '--path=image.tar')}",
        f"publish: {session.command_line('build', cell, 'publish', f'--address={name}')}",
        "run:     docker load --input image.tar; docker run --rm --interactive --tty IMAGE  # as load calls it",
    ):
        say(line)
    return image


async def measure_files(image: dagger.Container) -> int | None:
    """Return the bytes of all files of an image on disk, None if it cannot say."""
    measured = image.with_user("root").with_exec(_MEASURE, expect=ReturnType.ANY)
    words = (await measured.stdout()).split()
    return int(words[0]) if words and words[0].isdigit() else None
