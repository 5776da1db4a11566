"""Hold the plan of a cell: its stages in the order in which they are built, and what the user should know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ci.config.fields import CheckName
from ci.config.matrix import Cell
from ci.plan.stage import Spec, Stage
from ci.util.errors import UserError
from ci.util.json_text import parse_json

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The stages of a cell, notes for the user, the checks of its image and those that its variant waives."""

    cell: Cell
    stages: tuple[Stage, ...]
    notes: tuple[str, ...]
    checks: tuple[CheckName, ...]
    variant: str = "default"
    waives: tuple[tuple[CheckName, str], ...] = ()

    @property
    def id(self) -> str:
        """Return the name of the image in records and reports: `cu12.8.1-py3.13-runtime`, `…-runtime@slim`."""
        return image_name(self.cell, self.variant)

    @property
    def digest(self) -> str:
        """Return the digest of the last stage, which holds all others."""
        return self.stages[-1].digest

    def has(self, name: str) -> bool:
        """Return whether the plan has a stage."""
        return any(stage.name == name for stage in self.stages)

    def stage(self, name: str) -> Stage:
        """Return a stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)

    def spec(self, name: str, kind: type[S]) -> S:
        """Return the spec of a stage, typed."""
        spec = self.stage(name).spec
        if not isinstance(spec, kind):
            raise TypeError(f"stage {name} has a {type(spec).__name__}, not a {kind.__name__}")
        return spec


def image_name(cell: Cell, variant: str) -> str:
    """Return the name of a cell's image: the cell's own for the default variant."""
    return cell.id if variant == "default" else f"{cell.id}@{variant}"


def select_changed_plans(plans: Sequence[Plan], before: str, name: str) -> list[Plan]:
    """Return the plans that are different from an earlier `plan --format json`, or new.

    Raises:
        UserError: the text is not such a document; `name` is its file.
    """
    try:
        known = {cell["cell"]: cell["plan"] for cell in parse_json(before, name)["cells"]}
    except (UserError, LookupError, TypeError):
        raise UserError(f"{name}: not plans as `plan --format json` prints them") from None
    return [plan for plan in plans if known.get(plan.id) != plan.digest]
