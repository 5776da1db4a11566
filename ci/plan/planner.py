"""Plan cells: resolve every stage that a cell has, in order, with the inputs that its CUDA x Python pair shares."""

import re

from ci.config.fields import ARCH_LIST_PATTERN
from ci.config.matrix import Cell, Matrix
from ci.index.wheels import Pages
from ci.plan.definition import StageDefinition
from ci.plan.inputs import Options, PlanInputs, RayMode
from ci.plan.pair import PairInputs
from ci.plan.plan import Plan
from ci.plan.resolver import Resolver
from ci.plan.stage import Stage
from ci.plan.stages import STAGES, toolkit
from ci.util.errors import UserError, quote_value, require_choice


def choose_variant(cell: Cell, matrix: Matrix, options: Options) -> str:
    """Return the variant of a cell's image: devel images have the default one, whatever was asked for."""
    return options.variant if matrix.targets[cell.target].kind == "runtime" else "default"


class Planner:
    """Plan cells; those of one pair share their stages, and so do plans of many cells.

    `pages` are the index pages that were read, by address.
    """

    def __init__(self, inputs: PlanInputs, pages: Pages, options: Options | None = None) -> None:
        self.inputs = inputs
        self.pages = pages
        self.options = options or Options()
        self._pairs: dict[tuple[str, str, bool], PairInputs] = {}
        self._stages: dict[tuple[str, ...], Stage] = {}

    def plan(self, cell: Cell) -> Plan:
        """Resolve a cell into stages.

        Raises:
            UserError: the sources cannot give what the cell needs.
        """
        matrix = self.inputs.matrix
        name = choose_variant(cell, matrix, self.options)
        variant = matrix.variants[name]
        pair = self._pair(cell, conda=variant.conda)
        resolver = Resolver(cell=cell, variant_name=name, pair=pair, inputs=self.inputs, options=self.options)
        for definition in STAGES.values():
            if definition.applies(resolver):
                resolver.add(self._stage(definition, resolver), layer=definition.layer)
        stages = tuple(resolver.stages.values())
        facts = [matrix.cuda[cell.cuda].note, pair.pins.note, *toolkit.list_notes(pair)]
        notes = [*facts, *(note for stage in stages for note in stage.notes)]
        return Plan(
            cell=cell,
            stages=stages,
            notes=tuple(note for note in notes if note),
            checks=tuple(check for check in matrix.verify.checks if check not in variant.waives),
            variant=name,
            waives=tuple(variant.waives.items()),
        )

    def _pair(self, cell: Cell, *, conda: bool) -> PairInputs:
        key = cell.cuda, cell.python, conda
        if key not in self._pairs:
            pair = PairInputs(cell, self.inputs, self.options, self.pages, conda)
            _ = pair.pins, pair.toolkit  # a CUDA version that is nowhere is a mistake before all others
            self._pairs[key] = pair
        return self._pairs[key]

    def _stage(self, definition: StageDefinition, resolver: Resolver) -> Stage:
        """Resolve a stage, or take it from an earlier cell with the same CUDA version or pair."""
        if definition.scope == "cell":
            return definition.resolve(resolver)
        pair = resolver.pair
        environment = () if definition.scope == "cuda" else (pair.python, "conda" if pair.conda else "uv")
        key = (definition.name, pair.cuda, *environment)
        if key not in self._stages:
            self._stages[key] = definition.resolve(resolver)
        return self._stages[key]


def plan_cell(cell: Cell, inputs: PlanInputs, pages: Pages, options: Options | None = None) -> Plan:
    """Plan one cell; `Planner` is for many."""
    return Planner(inputs, pages, options).plan(cell)


def parse_ray_mode(value: str) -> RayMode:
    """Accept `stable`, `nightly` or `source`."""
    modes: tuple[RayMode, ...] = ("stable", "nightly", "source")
    require_choice("Ray mode", value, modes)
    return next(mode for mode in modes if mode == value)


def parse_archs(value: str) -> str:
    """Accept a list of GPU architectures as torch writes them: `8.0 9.0+PTX`."""
    if not re.fullmatch(ARCH_LIST_PATTERN, value):
        raise UserError(
            f"bad list of GPU architectures {quote_value(value)}; accepted: numbers such as '8.0 9.0+PTX'"
        )
    return value
