"""What stages take from outside, as data: listed from plans, collected into a bundle, and found again in it.

Pure. A need is known by what is asked for, not by where it comes from: a bundle made with a site's mirrors serves a
site that has none.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

from ci.config.matrix import Cell
from ci.plan.commands import TOOLKIT_DEBS
from ci.plan.planner import Plan
from ci.plan.specs import (
    BaseSpec,
    ChannelSpec,
    CondaSpec,
    InstallSpec,
    InterpreterSpec,
    PygSpec,
    RaySpec,
    RuntimeBaseSpec,
    Stage,
    ToolkitSpec,
    WheelsSpec,
)
from ci.util.errors import UserError
from ci.util.model import FrozenModel

Kind = Literal["images", "debs", "wheels", "sdists", "channel", "files"]

# What the needs of one stage are called by it; a file is called by its address.
IMAGE, DEBS, TOOLS, PACKAGES, SOURCES, COMPILER, CONDA = (
    "image",
    "debs",
    "tools",
    "packages",
    "sources",
    "compiler",
    "conda",
)


class BundleIndex(Protocol):
    """What a bundle's list tells of it: the sources, the cells that it was made for, the sets that it has."""

    @property
    def sources(self) -> str: ...
    @property
    def cells(self) -> tuple[str, ...]: ...
    @property
    def sets(self) -> tuple[str, ...]: ...


class ExternalInput(FrozenModel):
    """A set of files that is collected and used together, by what is asked for."""

    kind: Kind
    name: str
    key: tuple[str, ...]

    @property
    def bundle_path(self) -> str:
        """Return where it lies in a bundle: `wheels/cpu-py3.13-torch-0123456789ab`."""
        told = "\0".join((self.kind, self.name, *self.key))
        return f"{self.kind}/{self.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def image_input(name: str) -> ExternalInput:
    """Return the need of a base image."""
    return ExternalInput(kind="images", name=_slug(name), key=(name,))


def file_input(address: str) -> ExternalInput:
    """Return the need of one file."""
    return ExternalInput(kind="files", name=_slug(address.rsplit("/", 1)[-1]), key=(address,))


def list_stage_inputs(stage: Stage, cell: Cell) -> Mapping[str, ExternalInput]:
    """Return what one stage of a plan takes from outside, by what it calls it.

    Raises:
        UserError: it cannot be collected.
    """
    spec = stage.spec
    match spec:
        case ChannelSpec():
            # Of the channel nothing is made again: it is a folder of packages already.
            return {
                IMAGE: image_input(spec.image),
                CONDA: ExternalInput(kind="channel", name="made", key=(spec.recipe,)),
            }
        case ToolkitSpec():
            found = {**_machine(spec.image, TOOLKIT_DEBS), TOOLS: _tools(spec.image, spec.tools)}
            if spec.wheels:
                key = (spec.locked,) if spec.locked else spec.wheels
                found[PACKAGES] = ExternalInput(kind="wheels", name=f"cu{spec.cuda}-toolkit", key=key)
            if spec.deb:
                key = (spec.deb.package, spec.deb.version, spec.deb.sha256)
                found[COMPILER] = ExternalInput(kind="files", name=spec.deb.package, key=key)
            return found
        case BaseSpec():
            return {**_machine(spec.image, spec.apt), TOOLS: _tools(spec.image, spec.tools)}
        case RuntimeBaseSpec():
            return _machine(spec.image, spec.apt)
        case CondaSpec():
            if not spec.channels:
                return {}
            wanted = (*spec.channels, *spec.packages, spec.glibc, spec.cuda or "cpu")
            return {CONDA: ExternalInput(kind="channel", name=f"py{cell.python}", key=wanted)}
        case InterpreterSpec():
            raise UserError(
                "an environment without conda goes into no bundle: choose a --variant that has conda"
            )
        case InstallSpec():
            return {PACKAGES: _packages(stage.name, spec, cell)}
        case WheelsSpec():
            return {SOURCES: ExternalInput(kind="sdists", name="pyg", key=(spec.requirements,))}
        case PygSpec():
            fetched = {wheel.address: file_input(wheel.address) for wheel in spec.wheels}
            return {PACKAGES: _packages(stage.name, spec.install, cell), **fetched}
        case RaySpec():
            if spec.mode == "source":
                raise UserError(
                    "Ray built from source goes into no bundle: bazel downloads what it needs itself; "
                    "accepted here: stable, nightly"
                )
            fetched = {spec.wheel: file_input(spec.wheel)} if spec.wheel else {}
            return {PACKAGES: _packages(stage.name, spec.install, cell), **fetched}
        case _:
            return {}


def list_plan_inputs(plan: Plan) -> tuple[ExternalInput, ...]:
    """Return what all stages of a plan take from outside."""
    found = [list_stage_inputs(stage, plan.cell).values() for stage in plan.stages]
    return deduplicate(external for externals in found for external in externals)


def deduplicate(externals: Iterable[ExternalInput]) -> tuple[ExternalInput, ...]:
    """Return each need once, by its place in a bundle."""
    return tuple({external.bundle_path: external for external in externals}.values())


def require_in_bundle(
    manifest: BundleIndex, sources: str, wanted: Mapping[str, Sequence[ExternalInput]]
) -> None:
    """See to it that a bundle has what is wanted, by the names of cells.

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


def _machine(name: str, packages: Sequence[str]) -> dict[str, ExternalInput]:
    return {
        IMAGE: image_input(name),
        DEBS: ExternalInput(kind="debs", name=_slug(name), key=(name, *packages)),
    }


def _tools(name: str, requirements: str) -> ExternalInput:
    # The image has the Python that the tools are installed for.
    return ExternalInput(kind="wheels", name="tools", key=(name, requirements))


def _packages(stage: str, spec: InstallSpec, cell: Cell) -> ExternalInput:
    return ExternalInput(kind="wheels", name=f"{cell.pair_id}-{stage}", key=(spec.requirements,))


def _slug(name: str) -> str:
    plain = "".join(char if (char.isalnum() and char.isascii()) or char in "._" else "-" for char in name)
    return plain.strip("-._")[-80:].strip("-._") or "unnamed"
