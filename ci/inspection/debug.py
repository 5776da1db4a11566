"""From a cell that fails to a shell: the container as it was before the command that failed, and that command."""

import shlex
from dataclasses import dataclass

import dagger
from dagger import ExistsType
from dagger.telemetry import get_tracer

from ci.config.matrix import Cell
from ci.inspection import verify
from ci.inspection.checks import checks_for
from ci.plan.attempt import FIRST_ATTEMPT
from ci.plan.caches import Cache
from ci.plan.paths import PROGRAMS_FOLDER
from ci.plan.plan import Plan
from ci.sdk.functions import failed_step
from ci.session.history import known_attempts, load_history, open_store
from ci.session.session import Session
from ci.stages.builder import ImageBuilder
from ci.stages.step import Step
from ci.util.errors import UserError, summarize_error

SCRIPT_FILE = f"{PROGRAMS_FOLDER}/failed.sh"
MESSAGE_FILE = f"{PROGRAMS_FOLDER}/failed.txt"
# What a terminal starts with, and what `docker run` does.
ENTER = ["sh", "-c", f"cat {MESSAGE_FILE}; exec bash"]


@dataclass(frozen=True)
class Failed:
    """The step that failed, and what is told of it."""

    step: Step
    said: str


async def debug_container(session: Session, cell: Cell) -> dagger.Container:
    """Build a cell up to the step that fails, and return the container as it was before, with the command in it.

    Raises:
        UserError: no step fails, or it was no command that did.
    """
    plan = await session.plan(cell)
    known = known_attempts(session, (await load_history(open_store(session), None)).history)
    attempts = {stage.name: known.get(stage.digest, FIRST_ATTEMPT) for stage in plan.stages}
    build = ImageBuilder(plan, session.context, attempts)
    failed = await _command(build) or await _promise(build)
    if failed is None:
        raise UserError(f"{plan.id}: nothing fails: each step runs, and all promises are kept")
    return await _entrance(plan, failed)


async def _command(build: ImageBuilder) -> Failed | None:
    """Run the steps of the stages one after the other; what was built before takes no time."""
    for step in build.steps():
        with get_tracer().start_as_current_span(f"{build.plan.id}: {step.stage}"):
            try:
                await step.after().sync()
            except dagger.ExecError as error:
                return Failed(step, failed_step(error))
            except dagger.QueryError as error:
                said = summarize_error(error, 300)
                raise UserError(
                    f"{build.plan.id}: {step.stage} fails before there is a container to enter: {said}"
                ) from None
    return None


async def _promise(build: ImageBuilder) -> Failed | None:
    """Check the promises of the image one after the other."""
    image = await build.image().sync()
    for promise in checks_for(build.plan):
        outcome = await verify.check(image, promise)
        if not outcome.kept:
            return Failed(
                verify.step(image, promise), f"promise {promise.name} is not kept: {outcome.last_line}"
            )
    return None


async def _entrance(plan: Plan, failed: Failed) -> dagger.Container:
    step = failed.step
    again = await _script(plan, step)
    told = (
        f"{plan.id}, {step.stage}: {failed.said}\n\n"
        f"This is the container as it was before that command. To run it again, type:\n\n    sh {SCRIPT_FILE}\n\n"
    )
    container = await _with_inputs(step.before)
    container = container.with_new_file(SCRIPT_FILE, again, permissions=0o755).with_new_file(
        MESSAGE_FILE, told
    )
    for port in await step.before.exposed_ports():  # a terminal would wait for somebody to listen there
        container = container.without_exposed_port(await port.port())
    container = container.without_entrypoint().with_default_args(ENTER).with_default_terminal_cmd(ENTER)
    return await container.sync()


async def _script(plan: Plan, step: Step) -> str:
    """Write the command as a script that needs nothing from around it."""
    variables = [(await one.name(), await one.value()) for one in await step.before.env_variables()]
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables]
    folder = shlex.quote(await step.before.workdir() or "/")
    lines = [
        "#!/bin/sh",
        f"# {plan.id}, {step.stage}",
        *exports,
        f"cd {folder} || exit",
        f"exec {shlex.join(step.command)}",
    ]
    return "\n".join(lines) + "\n"


async def _with_inputs(container: dagger.Container) -> dagger.Container:
    """Put what is mounted into the container's own files, so that an export has it; caches stay as they are."""
    caches = {cache.path for cache in Cache}
    own = container
    for path in await container.mounts():
        if path in caches:
            continue
        own = own.without_mount(path)
        if await container.exists(path, expected_type=ExistsType.DIRECTORY_TYPE):
            own = own.with_directory(path, container.directory(path))
        else:
            own = own.with_file(path, container.file(path))
    return own
