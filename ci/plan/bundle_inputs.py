"""List what the stages of a plan take from outside, and check that a bundle has it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ci.config.matrix import Cell
from ci.plan.externals import ExternalInput, deduplicate
from ci.plan.plan import Plan
from ci.plan.stage import Stage
from ci.plan.stages import STAGES
from ci.util.errors import UserError


class BundleIndex(Protocol):
    """The manifest of a bundle: its sources, the cells that it was made for, the sets that it has."""

    @property
    def sources(self) -> str: ...
    @property
    def cells(self) -> tuple[str, ...]: ...
    @property
    def sets(self) -> tuple[str, ...]: ...


def list_stage_inputs(stage: Stage, cell: Cell) -> Mapping[str, ExternalInput]:
    """Return what one stage of a plan takes from outside, by the names that the stage uses.

    Raises:
        UserError: it cannot be collected.
    """
    return STAGES[stage.name].list_external_inputs(stage.spec, cell)


def list_plan_inputs(plan: Plan) -> tuple[ExternalInput, ...]:
    """Return what all stages of a plan take from outside."""
    found = [list_stage_inputs(stage, plan.cell).values() for stage in plan.stages]
    return deduplicate(external for externals in found for external in externals)


def require_in_bundle(
    manifest: BundleIndex, sources: str, wanted: Mapping[str, Sequence[ExternalInput]]
) -> None:
    """Check that a bundle has what cells take from outside; `wanted` is by the names of cells.

    Raises:
        UserError: it has not; the message names the cell and what is lacking.
    """
    if manifest.sources != sources:
        raise UserError(
            f"the bundle is of the {manifest.sources} sources, not of {sources}: give --sources {manifest.sources}"
        )
    have = set(manifest.sets)
    for cell, externals in wanted.items():
        if lacking := [external.bundle_path for external in externals if external.bundle_path not in have]:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise UserError(
                f"the bundle lacks {lacking[0]}{more} for {cell}; it was made for: {', '.join(manifest.cells)}"
            )
