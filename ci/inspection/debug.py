"""Debug a failing cell: build the container as it was before the failing command, and put the command in it."""

from dataclasses import dataclass

import dagger
from dagger import ExistsType
from dagger.telemetry import get_tracer

from ci.config.matrix import Cell
from ci.inspection.checks import checks_for
from ci.inspection.verify import check_step, run_check
from ci.plan.attempt import FIRST_ATTEMPT
from ci.plan.caches import Cache
from ci.plan.paths import PROGRAMS_FOLDER
from ci.plan.plan import Plan
from ci.sdk.functions import describe_exec_error
from ci.session.history import known_attempts, load_history, open_store
from ci.session.session import Session
from ci.stages.builder import ImageBuilder
from ci.stages.step import Step
from ci.stages.texts import make_text_file
from ci.util.errors import UserError, summarize_error
from ci.util.escape import escape_shell

SCRIPT_FILE = f"{PROGRAMS_FOLDER}/failed.sh"
MESSAGE_FILE = f"{PROGRAMS_FOLDER}/failed.txt"
# Both `terminal` and `docker run` start with this.
SHELL = ["sh", "-c", f"cat {MESSAGE_FILE}; exec bash"]


@dataclass(frozen=True)
class FailedStep:
    """A step that fails, and the message of its failure."""

    step: Step
    message: str


async def debug_container(session: Session, cell: Cell) -> dagger.Container:
    """Build a cell up to the step that fails; return the container before that step, with its command as a script.

    Raises:
        UserError: no step fails, or one fails before there is a container to enter.
    """
    plan = await session.plan(cell)
    known = known_attempts(session, (await load_history(open_store(session), None)).history)
    attempts = {stage.name: known.get(stage.digest, FIRST_ATTEMPT) for stage in plan.stages}
    builder = ImageBuilder(plan, session.context, attempts)
    failed = await _find_failed_step(builder) or await _find_failed_check(builder)
    if failed is None:
        raise UserError(f"{plan.id}: nothing fails: each step ran, and all checks passed")
    return await _container_before(plan, failed)


async def _find_failed_step(builder: ImageBuilder) -> FailedStep | None:
    """Run the steps of all stages until one fails; steps that were built before come from Dagger's cache."""
    for step in builder.steps():
        with get_tracer().start_as_current_span(f"{builder.plan.id}: {step.stage}"):
            try:
                await step.after().sync()
            except dagger.ExecError as error:
                return FailedStep(step, describe_exec_error(error))
            except dagger.QueryError as error:
                message = summarize_error(error, 300)
                raise UserError(
                    f"{builder.plan.id}: {step.stage} fails before there is a container to enter: {message}"
                ) from None
    return None


async def _find_failed_check(builder: ImageBuilder) -> FailedStep | None:
    """Run the checks of the image until one fails."""
    image = await builder.image().sync()
    for check in checks_for(builder.plan):
        result = await run_check(image, check)
        if not result.passed:
            step = await check_step(image, check)
            return FailedStep(step, f"check {check.title} failed: {result.last_line}")
    return None


async def _container_before(plan: Plan, failed: FailedStep) -> dagger.Container:
    """Return the container before a failed step, with the command as a script and a shell that shows the message."""
    step = failed.step
    script = await _write_script(plan, step)
    message = (
        f"{plan.id}, {step.stage}: {failed.message}\n\n"
        f"This is the container as it was before that command. To run it again, type:\n\n    sh {SCRIPT_FILE}\n\n"
    )
    container = await _copy_mounts(step.before)
    container = container.with_file(SCRIPT_FILE, make_text_file("failed.sh", script), permissions=0o755)
    container = container.with_file(MESSAGE_FILE, make_text_file("message.txt", message))
    for port in await step.before.exposed_ports():  # a terminal would wait until something listens there
        container = container.without_exposed_port(await port.port())
    container = container.without_entrypoint().with_default_args(SHELL).with_default_terminal_cmd(SHELL)
    return await container.sync()


async def _write_script(plan: Plan, step: Step) -> str:
    """Return the step's command as a shell script that sets the step's variables and folder itself."""
    variables = [(await one.name(), await one.value()) for one in await step.before.env_variables()]
    exports = [f"export {name}={escape_shell([value])}" for name, value in variables]
    folder = escape_shell([await step.before.workdir() or "/"])
    lines = [
        "#!/bin/sh",
        f"# {plan.id}, {step.stage}",
        *exports,
        f"cd {folder} || exit",
        f"exec {escape_shell(step.command)}",
    ]
    return "\n".join(lines) + "\n"


async def _copy_mounts(container: dagger.Container) -> dagger.Container:
    """Copy what is mounted into the container's own files, so that an export includes it; caches stay mounted."""
    caches = {cache.path for cache in Cache}
    copied = container
    for path in await container.mounts():
        if path in caches:
            continue
        copied = copied.without_mount(path)
        if await container.exists(path, expected_type=ExistsType.DIRECTORY_TYPE):
            copied = copied.with_directory(path, container.directory(path))
        else:
            copied = copied.with_file(path, container.file(path))
    return copied
