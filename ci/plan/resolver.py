"""Resolve the stages of a cell: what a stage definition may read while it resolves its inputs."""

from dataclasses import dataclass, field

from ci.config.matrix import Cell, Matrix, Target
from ci.config.sources import Sources
from ci.config.variants import Variant
from ci.plan.inputs import Options, PlanInputs
from ci.plan.pair import PairInputs
from ci.plan.plan import image_name
from ci.plan.stage import Spec, Stage
from ci.plan.system import Account


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """A cell with the inputs of its pair, and the stages that are resolved already, by name."""

    cell: Cell
    variant_name: str
    pair: PairInputs
    inputs: PlanInputs
    options: Options
    stages: dict[str, Stage] = field(default_factory=dict)
    layers: list[Stage] = field(default_factory=list)

    def add(self, stage: Stage, *, layer: bool) -> None:
        """Add a stage that is resolved; a layer is what the next one is installed on."""
        self.stages[stage.name] = stage
        if layer:
            self.layers.append(stage)

    @property
    def top(self) -> Stage:
        """Return the stage with the whole environment so far: PyG's, or the last layer above it."""
        return self.layers[-1] if self.layers else self.stages["pyg"]

    @property
    def matrix(self) -> Matrix:
        """Return the matrix in use."""
        return self.inputs.matrix

    @property
    def sources(self) -> Sources:
        """Return the sources in use."""
        return self.inputs.sources

    @property
    def target(self) -> Target:
        """Return the cell's target."""
        return self.matrix.targets[self.cell.target]

    @property
    def variant(self) -> Variant:
        """Return the variant of the cell's image."""
        return self.matrix.variants[self.variant_name]

    @property
    def account(self) -> Account:
        """Return the user that images run as."""
        image = self.matrix.image
        return Account(user=image.user, uid=image.uid, workdir=image.workdir)

    @property
    def image_name(self) -> str:
        """Return the name of the cell's image."""
        return image_name(self.cell, self.variant_name)

    def make(
        self,
        name: str,
        spec: Spec,
        parents: tuple[Stage | None, ...],
        reason: str,
        notes: tuple[str, ...] = (),
    ) -> Stage:
        """Make a stage of a spec; parents that the cell does not have are None."""
        return Stage(
            name=name,
            spec=spec,
            code=self.inputs.code[name],
            parents=tuple(parent for parent in parents if parent is not None),
            reason=reason,
            notes=notes,
        )
