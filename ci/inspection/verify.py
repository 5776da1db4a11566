"""Verify an image: run its checks inside it, side by side, and report which failed."""

import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import dagger
from dagger import ReturnType
from dagger.telemetry import get_tracer
from opentelemetry.trace import Status, StatusCode
from pydantic import Field

from ci.config.matrix import Cell
from ci.inspection.checks import Check, checks_for
from ci.inspection.circumstances import HOLD_PROGRAM
from ci.inspection.limiter import CheckLimiter, check_capacity
from ci.plan.paths import PREFIX
from ci.plan.plan import Plan
from ci.plan.programs import mounted_path
from ci.sdk.ids import remember_id
from ci.session.jobs import run_jobs
from ci.session.machine import read_machine
from ci.session.session import Session
from ci.stages.builder import ImageBuilder
from ci.stages.programs import with_program
from ci.stages.step import Step
from ci.stages.texts import make_text_file
from ci.util.errors import UserError
from ci.util.model import FrozenModel


class CheckResult(FrozenModel):
    """The result of one check: the time it took in seconds, and the last line that it printed.

    `ran_in` is the image that it was run in, by name, if that is not the image itself but one below it.
    """

    name: str
    passed: bool
    seconds: float
    last_line: str
    facts: dict[str, Any] = Field(default_factory=dict)
    ran_in: str = ""


async def verify_image(session: Session, cell: Cell, image: dagger.Container | None = None) -> str:
    """Run all checks of a cell in its image, or in another one, and return their results as a table.

    Raises:
        UserError: checks failed; the message names each with its last line.
    """
    plan = await session.plan(cell)
    found = remember_id(await (image or ImageBuilder(plan, session.context).image()).sync())
    machine = await read_machine(session.probe_container, secrets.token_hex(6))
    limiter = CheckLimiter(check_capacity(machine))
    results = await run_all(checks_for(plan), lambda check: run_check(found, check, limiter))
    if message := describe_failed(results):
        raise UserError(f"{plan.id}: {message}")
    return format_results(plan, results)


async def run_all(
    checks: Sequence[Check], run: Callable[[Check], Awaitable[CheckResult]]
) -> list[CheckResult]:
    """Start all checks, those that take longest first, and return their results in the order of `checks`.

    A failed check is a result, and stops no other. If one cannot be run, the others are cancelled, and its error is
    raised.
    """
    results: dict[str, CheckResult] = {}

    async def run_one(check: Check) -> None:
        results[check.title] = await run(check)

    await run_jobs(
        partial(run_one, check) for check in sorted(checks, key=lambda check: -check.needs.seconds)
    )
    return [results[check.title] for check in checks]


async def run_check(
    image: dagger.Container, check: Check, limiter: CheckLimiter | None = None
) -> CheckResult:
    """Run one check in the image, in its circumstances, as soon as the limiter lets it start."""
    if limiter:
        async with limiter.run(check.needs):
            return await run_check(image, check)
    started = time.monotonic()
    with get_tracer().start_as_current_span(f"check {check.title}") as span:
        # A failed check is a result too, and Dagger may cache it: the same image fails again.
        ran = (await check_step(image, check)).after(ReturnType.ANY)
        code = await ran.exit_code()
        output = await (ran.stdout() if code == 0 else ran.stderr())
        lines = [line for line in output.splitlines() if line.strip()]
        last_line = lines[-1] if lines else f"exit status {code}"
        if code:
            span.set_status(Status(StatusCode.ERROR, last_line))
    return CheckResult(
        name=check.title,
        passed=code == 0,
        seconds=round(time.monotonic() - started, 1),
        last_line=last_line[:300],
        facts=json.loads(last_line) if code == 0 and last_line.startswith("{") else {},
    )


async def check_step(image: dagger.Container, check: Check) -> Step:
    """Return the step that runs a check in the image."""
    user = await image.user() if check.reads_user else ""
    program = f"checks/{check.name}.py"
    command = (
        f"{PREFIX}/bin/python",
        mounted_path(program),
        *check.arguments,
        *(("--user", user) if user else ()),
    )
    place = check.circumstance
    container = (
        with_program(with_program(image, program), HOLD_PROGRAM)
        if place.read_only
        else with_program(image, program)
    )
    container = container.with_user(place.started_as) if place.started_as else container
    for name, value in place.variables:
        container = container.with_env_variable(name, value)
    for path, text in check.texts:
        container = container.with_mounted_file(path, make_text_file(path.rpartition("/")[2], text))
    return Step("verify", container, place.wrap(command), place.privileged)


def describe_failed(results: Sequence[CheckResult]) -> str:
    """Name the failed checks, each with its last line; empty if all passed."""
    failed = [f"{result.name} ({result.last_line})" for result in results if not result.passed]
    return f"{len(failed)} of {len(results)} checks failed: {'; '.join(failed)}" if failed else ""


def format_results(plan: Plan, results: Sequence[CheckResult]) -> str:
    """Format the results as a table, and name the checks that the variant waives."""
    names = [*(result.name for result in results), *(name for name, _ in plan.waives)]
    width = max(map(len, names))
    lines = [f"{plan.id}: all {len(results)} checks passed"]
    lines += [f"  {result.name:{width}}  {_describe_result(result)}" for result in results]
    lines += [f"  {name:{width}}  waived by {plan.variant}: {reason}" for name, reason in plan.waives]
    return "\n".join(lines) + "\n"


def _describe_result(result: CheckResult) -> str:
    where = f"passed in {result.ran_in}  " if result.ran_in else ""
    return f"{where}{result.seconds:6.1f} s  {result.last_line}"
