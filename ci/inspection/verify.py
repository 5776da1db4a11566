"""Runs the promises of an image inside it and tells which are kept."""

import json
import time
from typing import Any

import dagger
from dagger import ReturnType
from dagger.telemetry import get_tracer
from opentelemetry.trace import Status, StatusCode
from pydantic import Field

from ci.inspection.checks import Check, checks_for
from ci.plan.paths import PREFIX, PROGRAMS_FOLDER
from ci.plan.plan import Plan
from ci.stages.programs import with_program
from ci.stages.step import Step
from ci.util.errors import UserError
from ci.util.model import FrozenModel


class Outcome(FrozenModel):
    """One promise after its check: kept or not, the time it took in seconds, and its last line."""

    name: str
    kept: bool
    seconds: float
    last_line: str
    facts: dict[str, Any] = Field(default_factory=dict)


async def verify(plan: Plan, image: dagger.Container) -> str:
    """Check every promise of the plan's target in the image, and return a table.

    Raises:
        UserError: promises were not kept; the message names each with its last line.
    """
    outcomes = await check_all(plan, image)
    if broken := failed_checks(outcomes):
        raise UserError(f"{plan.id}: {broken}")
    return table(plan, outcomes)


async def check_all(plan: Plan, image: dagger.Container) -> list[Outcome]:
    """Check every promise of the plan's target in the image, one after the other."""
    image = await image.sync()
    return [await check(image, promise) for promise in checks_for(plan)]


def failed_checks(outcomes: list[Outcome]) -> str:
    """Name the promises that were not kept, each with its last line; empty when all were."""
    broken = [f"{outcome.name} ({outcome.last_line})" for outcome in outcomes if not outcome.kept]
    return f"{len(broken)} of {len(outcomes)} promises not kept: {'; '.join(broken)}" if broken else ""


def step(image: dagger.Container, promise: Check) -> Step:
    """Return the check of a promise as a step."""
    command = (f"{PREFIX}/bin/python", f"{PROGRAMS_FOLDER}/promises/{promise.name}.py", *promise.arguments)
    return Step("verify", with_program(image, "promises"), command)


async def check(image: dagger.Container, promise: Check) -> Outcome:
    """Run one check in the image, as its own user."""
    started = time.monotonic()
    with get_tracer().start_as_current_span(f"promise {promise.name}") as span:
        # A failed check is an answer, and an answer may be cached: the same image gives it again.
        ran = step(image, promise).after(ReturnType.ANY)
        code = await ran.exit_code()
        text = await (ran.stdout() if code == 0 else ran.stderr())
        last_line = next(
            (line for line in reversed(text.splitlines()) if line.strip()), f"exit status {code}"
        )
        if code:
            span.set_status(Status(StatusCode.ERROR, last_line))
    seconds = round(time.monotonic() - started, 1)
    facts = json.loads(last_line) if code == 0 and last_line.startswith("{") else {}
    return Outcome(name=promise.name, kept=code == 0, seconds=seconds, last_line=last_line[:300], facts=facts)


def table(plan: Plan, outcomes: list[Outcome]) -> str:
    """Return the outcomes as text, a line each."""
    names = [*(outcome.name for outcome in outcomes), *(name for name, _ in plan.waives)]
    width = max(map(len, names))
    lines = [f"{plan.id}: all {len(outcomes)} promises kept"]
    lines += [f"  {item.name:{width}}  {item.seconds:6.1f} s  {item.last_line}" for item in outcomes]
    lines += [f"  {name:{width}}  not promised by {plan.variant}: {reason}" for name, reason in plan.waives]
    return "\n".join(lines) + "\n"
