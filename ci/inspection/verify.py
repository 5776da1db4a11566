"""Verify an image: run its checks inside it and report which failed."""

import json
import time
from typing import Any

import dagger
from dagger import ReturnType
from dagger.telemetry import get_tracer
from opentelemetry.trace import Status, StatusCode
from pydantic import Field

from ci.inspection.checks import Check, checks_for
from ci.plan.paths import PREFIX
from ci.plan.plan import Plan
from ci.plan.programs import mounted_path
from ci.stages.programs import with_program
from ci.stages.step import Step
from ci.stages.texts import make_text_file
from ci.util.errors import UserError
from ci.util.model import FrozenModel


class CheckResult(FrozenModel):
    """The result of one check: the time it took in seconds, and the last line that it printed."""

    name: str
    passed: bool
    seconds: float
    last_line: str
    facts: dict[str, Any] = Field(default_factory=dict)


async def verify_image(plan: Plan, image: dagger.Container) -> str:
    """Run all checks of a plan's image and return their results as a table.

    Raises:
        UserError: checks failed; the message names each with its last line.
    """
    results = await run_checks(plan, image)
    if message := describe_failed(results):
        raise UserError(f"{plan.id}: {message}")
    return format_results(plan, results)


async def run_checks(plan: Plan, image: dagger.Container) -> list[CheckResult]:
    """Run all checks of a plan's image, one after the other."""
    image = await image.sync()
    return [await run_check(image, check) for check in checks_for(plan)]


async def run_check(image: dagger.Container, check: Check) -> CheckResult:
    """Run one check in the image, as the image's own user."""
    started = time.monotonic()
    with get_tracer().start_as_current_span(f"check {check.name}") as span:
        # A failed check is a result too, and Dagger may cache it: the same image fails again.
        ran = check_step(image, check).after(ReturnType.ANY)
        code = await ran.exit_code()
        output = await (ran.stdout() if code == 0 else ran.stderr())
        lines = [line for line in output.splitlines() if line.strip()]
        last_line = lines[-1] if lines else f"exit status {code}"
        if code:
            span.set_status(Status(StatusCode.ERROR, last_line))
    return CheckResult(
        name=check.name,
        passed=code == 0,
        seconds=round(time.monotonic() - started, 1),
        last_line=last_line[:300],
        facts=json.loads(last_line) if code == 0 and last_line.startswith("{") else {},
    )


def check_step(image: dagger.Container, check: Check) -> Step:
    """Return the step that runs a check in the image."""
    program = f"checks/{check.name}.py"
    command = (f"{PREFIX}/bin/python", mounted_path(program), *check.arguments)
    container = with_program(image, program)
    for path, text in check.texts:
        container = container.with_mounted_file(path, make_text_file(path.rpartition("/")[2], text))
    return Step("verify", container, command)


def describe_failed(results: list[CheckResult]) -> str:
    """Name the failed checks, each with its last line; empty if all passed."""
    failed = [f"{result.name} ({result.last_line})" for result in results if not result.passed]
    return f"{len(failed)} of {len(results)} checks failed: {'; '.join(failed)}" if failed else ""


def format_results(plan: Plan, results: list[CheckResult]) -> str:
    """Format the results as a table, and name the checks that the variant waives."""
    names = [*(result.name for result in results), *(name for name, _ in plan.waives)]
    width = max(map(len, names))
    lines = [f"{plan.id}: all {len(results)} checks passed"]
    lines += [f"  {result.name:{width}}  {result.seconds:6.1f} s  {result.last_line}" for result in results]
    lines += [f"  {name:{width}}  waived by {plan.variant}: {reason}" for name, reason in plan.waives]
    return "\n".join(lines) + "\n"
