"""From a cell to a plan: every stage with its inputs resolved, a reason for each, and what the user should know."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ci.config.fields import ARCH_LIST_PATTERN, CheckName
from ci.config.matrix import Cell, Matrix, Target
from ci.index.wheels import Pages
from ci.plan.cuda import CudaStages
from ci.plan.environment import LABEL, EnvironmentStages, torch_pins
from ci.plan.inputs import Options, PlanInputs, RayMode
from ci.plan.specs import CUDA_HOME, PREFIX, ImageSpec, PackSpec, Spec, Stage, Trim
from ci.util.errors import UserError, quote_value, require_choice

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A cell's stages in the order in which they are built, and what the user should know beforehand."""

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

    def layer_key(self, name: str) -> str:
        """Return what a layer is made from; two images with a layer of the same key share it.

        The environment's layer is made from PyG's stage alone, whatever is packed on top of it; that of CUDA's
        libraries from their pins.
        """
        digests = {stage.name: stage.digest for stage in self.stages}
        if name in ("base", "runtime-base"):
            return digests[name]
        spec = self.spec("pack", PackSpec)
        if name == "libraries":  # whatever Python they lie beside
            made = f"{spec.libraries} {spec.strip} {spec.trims}"
        else:
            made = f"{digests['pyg' if name == 'pack' else name]} {spec.model_dump_json()}"
        return hashlib.sha256(made.encode()).hexdigest()

    def has(self, name: str) -> bool:
        """Tell whether the plan has a stage."""
        return any(stage.name == name for stage in self.stages)

    def spec(self, name: str, kind: type[S]) -> S:
        """Return the spec of a stage, typed."""
        spec = next(stage.spec for stage in self.stages if stage.name == name)
        if not isinstance(spec, kind):
            raise TypeError(f"stage {name} has a {type(spec).__name__}, not a {kind.__name__}")
        return spec


def variant_of(cell: Cell, matrix: Matrix, options: Options) -> str:
    """Return the variant of a cell's image: devel images have the default one, whatever was asked for."""
    return options.variant if matrix.targets[cell.target].kind == "runtime" else "default"


def image_name(cell: Cell, variant: str) -> str:
    """Return the name of a cell's image: the cell's own for the default variant."""
    return cell.id if variant == "default" else f"{cell.id}@{variant}"


class Planner:
    """Plans cells; those of one pair share their stages, and so do plans of many cells.

    `pages` are the index pages that were read, by address.
    """

    def __init__(self, inputs: PlanInputs, pages: Pages, options: Options | None = None) -> None:
        self.inputs = inputs
        self.pages = pages
        self.options = options or Options()
        self._pairs: dict[tuple[str, str, bool], EnvironmentStages] = {}
        self._lines: dict[str, CudaStages] = {}

    def plan(self, cell: Cell) -> Plan:
        """Resolve a cell into stages.

        Raises:
            UserError: the sources cannot give what the cell needs.
        """
        return TargetStages(
            cell, self._pair(cell), self.inputs.matrix.targets[cell.target], self.options
        ).plan()

    def _pair(self, cell: Cell) -> EnvironmentStages:
        matrix = self.inputs.matrix
        conda = matrix.variants[variant_of(cell, matrix, self.options)].conda
        key = cell.cuda, cell.python, conda
        if key not in self._pairs:
            pins = torch_pins(cell, self.inputs)
            line = self._lines.get(cell.cuda)
            if line is None:
                variant = matrix.variants[self.options.variant]
                line = self._lines[cell.cuda] = CudaStages(cell.cuda, self.inputs, variant)
            self._pairs[key] = EnvironmentStages(
                cell, pins, line, self.inputs, self.pages, self.options, conda=conda
            )
        return self._pairs[key]


def plan_cell(cell: Cell, inputs: PlanInputs, pages: Pages, options: Options | None = None) -> Plan:
    """Plan one cell; `Planner` is for many."""
    return Planner(inputs, pages, options).plan(cell)


def changed_plans(plans: Sequence[Plan], before: str, name: str) -> list[Plan]:
    """Return the plans that are different from an earlier `plan --format json`, or new.

    Raises:
        UserError: the text is not such a document; `name` is its file.
    """
    try:
        known = {cell["cell"]: cell["plan"] for cell in json.loads(before)["cells"]}
    except (ValueError, LookupError, TypeError, RecursionError):
        raise UserError(f"{name}: not plans as `plan --format json` prints them") from None
    return [plan for plan in plans if known.get(plan.id) != plan.digest]


class TargetStages:
    """What a target adds to its pair."""

    def __init__(self, cell: Cell, pair: EnvironmentStages, target: Target, options: Options) -> None:
        self.cell = cell
        self.pair = pair
        self.target = target
        self.options = options
        self.matrix = pair.matrix
        self.variant_name = variant_of(cell, pair.matrix, options)
        self.variant = pair.matrix.variants[self.variant_name]

    def plan(self) -> Plan:
        pair, steps = self.pair, [self.pair.pyg]
        if "ray" in self.target.layers:
            steps.append(pair.ray)
        if "marimo" in self.target.layers:
            steps.append(pair.marimo(steps[-1]))
        # pyg's first parent is torch, the second are its wheels, where there are any.
        line = pair.line
        below = [
            pair.channel,
            self._toolkit(),
            line.base,
            pair.interpreter,
            pair.torch,
            *pair.pyg.parents[1:],
        ]
        stages = [stage for stage in [*below, *steps] if stage is not None]
        # Devel and runtime images are two bases under the same layers.
        pack = self._pack(steps[0], steps[-1])
        ground = [line.runtime_base] if self.target.kind == "runtime" else []
        stages += [*ground, pack, self._image((*(ground or [line.base]), pack))]
        return Plan(
            cell=self.cell,
            stages=tuple(stages),
            notes=pair.notes(stages),
            checks=tuple(name for name in self.matrix.verify.checks if name not in self.variant.waives),
            variant=self.variant_name,
            waives=tuple(self.variant.waives.items()),
        )

    def _toolkit(self) -> Stage | None:
        # A devel image that provides the toolkit has the whole of it: only runtimes need the trimmed one.
        source = self.pair.line.toolkit_source
        needed = self.target.kind == "runtime" and self.variant.toolkit
        if source and source.provider == "image" and not needed:
            return None
        return self.pair.line.toolkit

    def _pack(self, pyg: Stage, top: Stage) -> Stage:
        trims = []
        for name in self.variant.rules:
            rule = self.matrix.rules[name]
            trims.append(Trim(name=name, remove=rule.remove, unless=rule.unless))
        spec = PackSpec(
            prefix=PREFIX,
            conda=self.pair.conda,
            site_packages=f"lib/python{self.cell.python}/site-packages",
            libraries=self.pair.libraries,
            trims=tuple(trims),
            strip=self.variant.strip,
        )
        parents = (pyg,) if top is pyg else (pyg, top)
        less = f", for variant {self.variant_name}" if trims or spec.strip != "no" else ""
        how = f"as conda-pack exports it for {PREFIX}" if spec.conda else f"as it lies at {PREFIX}"
        return self.pair.line.add("pack", spec, parents, f"the environment {how}{less}")

    def _image(self, parents: tuple[Stage, ...]) -> Stage:
        serves = "marimo" in self.target.layers
        port = self.matrix.marimo.port if serves else None
        args: tuple[str, ...] = ("bash",)
        if serves and self.target.kind == "runtime":
            args = ("marimo", "edit", "--headless", "--host", "0.0.0.0", "--port", str(port), "--no-token")  # noqa: S104
        spec = ImageSpec(
            kind=self.target.kind,
            account=self.pair.line.account,
            env=self._env(),
            labels=self._labels(),
            entrypoint=("tini", "--"),
            args=args,
            port=port,
        )
        name = image_name(self.cell, self.variant_name)
        return self.pair.line.add("image", spec, parents, f"{name}: user, environment, labels")

    def _env(self) -> tuple[tuple[str, str], ...]:
        (path, value), *rest = self.pair.env
        if self.target.kind == "devel":
            value += ":/opt/tools/bin"
        elif not self.variant.toolkit:
            value = value.removesuffix(f":{CUDA_HOME}/bin")
            rest = [(name, one) for name, one in rest if name != "CUDA_HOME"]
        return ((path, f"{value}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), *rest)

    def _labels(self) -> tuple[tuple[str, str], ...]:
        labels = dict(self.pair.labels)
        labels["org.opencontainers.image.title"] = image_name(self.cell, self.variant_name)
        labels[f"{LABEL}.target"] = self.cell.target
        if self.target.kind == "runtime":
            labels[f"{LABEL}.variant"] = self.variant_name
        if not self.variant.toolkit:
            for name in ("toolkit", "toolkit-compiler"):
                labels.pop(f"{LABEL}.{name}", None)
        if "ray" in self.target.layers:
            versions = {"stable": self.matrix.ray.version, "nightly": self.matrix.ray.nightly}
            labels[f"{LABEL}.ray"] = versions.get(self.options.ray, f"{self.matrix.ray.version} (source)")
        if "marimo" in self.target.layers:
            labels[f"{LABEL}.marimo"] = self.matrix.marimo.version
        return tuple(sorted(labels.items()))


def parse_ray_mode(value: str) -> RayMode:
    """Accept `stable`, `nightly` or `source`."""
    modes: tuple[RayMode, ...] = ("stable", "nightly", "source")
    require_choice("Ray mode", value, modes)
    return next(mode for mode in modes if mode == value)


def checked_archs(value: str) -> str:
    """Accept a list of GPU architectures as torch writes them: `8.0 9.0+PTX`."""
    if not re.fullmatch(ARCH_LIST_PATTERN, value):
        raise UserError(
            f"bad list of GPU architectures {quote_value(value)}; accepted: numbers such as '8.0 9.0+PTX'"
        )
    return value
