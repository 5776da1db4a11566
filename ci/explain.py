"""A plan in words: what is built, from what, and why."""

from ci.errors import one_line
from ci.plan import Plan


def explain(plan: Plan) -> str:
    """Return a plan as text: one line for each stage with its digest and reason, then the notes."""
    width = max(len(stage.name) for stage in plan.stages)
    lines = [f"{plan.cell.id}  plan {plan.digest[:12]}"]
    lines += [f"  {stage.name:{width}}  {stage.digest[:12]}  {stage.reason}" for stage in plan.stages]
    lines += [f"  note: {one_line(note)}" for note in plan.notes]
    return "\n".join(lines) + "\n"
