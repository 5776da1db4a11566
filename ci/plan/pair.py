"""Resolve what all cells of a CUDA x Python pair share: pins, wheel tags, architectures, the extensions' page."""

from dataclasses import dataclass
from functools import cached_property

from ci.config.matrix import Cell, Matrix, TorchPins
from ci.config.sources import Toolkit, fill_placeholders
from ci.index.wheels import Page, Pages, Wheel, find_wheel
from ci.plan.inputs import Options, PlanInputs
from ci.plan.installs import Install, resolve_install
from ci.plan.requirements import cuda_libraries, select_pins
from ci.util.errors import UserError


def extension_pages(cell: Cell, inputs: PlanInputs) -> tuple[str, ...]:
    """List the index pages that must be read before the cell can be planned."""
    links = inputs.sources.wheels.pyg
    pins = torch_pins(cell, inputs)
    return (
        (fill_placeholders(links, torch=pins.torch, tag=inputs.matrix.cuda[cell.cuda].wheel_tag),)
        if links
        else ()
    )


def torch_pins(cell: Cell, inputs: PlanInputs) -> TorchPins:
    """Return the torch pins of a cell for the sources in use.

    Raises:
        UserError: the matrix has no pins for this CUDA version and these sources.
    """
    table = inputs.matrix.torch.get(inputs.sources_name, {})
    if cell.cuda not in table:
        have = ", ".join(table) or "none"
        raise UserError(
            f"matrix: [torch.{inputs.sources_name}] has no row for CUDA {cell.cuda}; rows: {have}"
        )
    return table[cell.cuda]


def pyg_local_version(pins: TorchPins, tag: str) -> str:
    """Return how PyG's wheels name the torch and CUDA that they are for: `pt211cu128`."""
    return f"pt{''.join(pins.torch.split('.')[:2])}{tag}"


@dataclass(frozen=True)
class Extensions:
    """Where each PyG extension comes from: a wheel, its source archive, or nowhere; with a reason for each.

    `sdists` are the requirement lines of the source archives.
    """

    wheels: tuple[Wheel, ...]
    compiled: tuple[str, ...]
    missing: tuple[str, ...]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    sdists: str


@dataclass(frozen=True)
class PairInputs:
    """The inputs that all cells of a CUDA x Python pair share; `conda` says whether conda makes the environment.

    Raises:
        UserError: the matrix or the sources lack something for this pair.
    """

    cell: Cell
    inputs: PlanInputs
    options: Options
    pages: Pages
    conda: bool

    @property
    def cuda(self) -> str:
        """Return the CUDA version, or `cpu`."""
        return self.cell.cuda

    @property
    def python(self) -> str:
        """Return the Python version."""
        return self.cell.python

    @property
    def matrix(self) -> Matrix:
        """Return the matrix in use."""
        return self.inputs.matrix

    @cached_property
    def pins(self) -> TorchPins:
        """Return the torch pins."""
        return torch_pins(self.cell, self.inputs)

    @cached_property
    def tag(self) -> str:
        """Return how wheels name the CUDA version: `cu128`."""
        return self.matrix.cuda[self.cuda].wheel_tag

    @cached_property
    def toolkit(self) -> Toolkit | None:
        """Return where the CUDA toolkit comes from, None for the CPU.

        Raises:
            UserError: the sources have none for this CUDA version.
        """
        if self.cuda == "cpu":
            return None
        known = self.inputs.sources.toolkit
        if self.cuda not in known:
            raise UserError(
                f"the {self.inputs.sources_name} sources have no toolkit for CUDA {self.cuda}; "
                f"they have: {', '.join(known)}"
            )
        return known[self.cuda]

    @cached_property
    def arch_list(self) -> str | None:
        """Return the GPU architectures of compiled extensions, None for the CPU."""
        if self.cuda == "cpu":
            return None
        if self.options.archs:
            return self.options.archs
        name = self.inputs.sources_name
        table = self.matrix.archs.get(name, {})
        if self.cuda not in table:
            raise UserError(f"matrix: [archs.{name}] has no row for CUDA {self.cuda}")
        return table[self.cuda]

    def install(self, stage: str, *, locked: bool = True) -> Install:
        """Resolve the packages that a stage installs, from its lock or by version."""
        return resolve_install(
            self.inputs, self.cell, self.pins, stage, nightly=self.options.ray == "nightly", locked=locked
        )

    @cached_property
    def torch_install(self) -> Install:
        """Return the torch packages that are installed."""
        return self.install("torch")

    @cached_property
    def libraries(self) -> str | None:
        """Return the pins of CUDA's libraries in the environment, None if torch brings none."""
        # PyPI's torch brings them into CPU images too.
        own = self.tag == "cpu" and self.inputs.sources.wheels.torch
        return None if own else cuda_libraries(self.torch_install.spec.requirements)

    @cached_property
    def page(self) -> Page | None:
        """Return the page of PyG's wheels, None if it was not read."""
        addresses = extension_pages(self.cell, self.inputs)
        return next((self.pages[address] for address in addresses if address in self.pages), None)

    @cached_property
    def extensions(self) -> Extensions:
        """Return where each PyG extension comes from."""
        wheels: list[Wheel] = []
        compiled: list[str] = []
        missing: list[str] = []
        reasons: list[str] = []
        notes: list[str] = []
        for name, pin in self.matrix.pyg.extensions.items():
            wheel, why = self._find_wheel(name, pin.version)
            if wheel:
                wheels.append(wheel)
                reasons.append(f"{name} {pin.version}: wheel")
            elif pin.sdist:
                compiled.append(f"{name}=={pin.version}")
                reasons.append(f"{name} {pin.version}: compile ({why})")
            else:
                missing.append(name)
                notes.append(f"{name} is left out: {why}, and no source is on the package index")
        sdists = select_pins(self.inputs.locks.sdists(), compiled)
        if compiled and sdists is None:
            notes.append("the lock of PyG's sources is for other pins: taken by version, without hashes")
        return Extensions(
            wheels=tuple(wheels),
            compiled=tuple(compiled),
            missing=tuple(missing),
            reasons=tuple(reasons),
            notes=tuple(notes),
            sdists=sdists or "".join(f"{pin}\n" for pin in compiled),
        )

    def _find_wheel(self, name: str, version: str) -> tuple[Wheel | None, str]:
        if not self.inputs.sources.wheels.pyg:
            return None, "the sources have no page of PyG wheels"
        page = self.page or Page(address="", problem="it was not read")
        if page.problem:
            return None, f"the page of PyG wheels could not be read: {page.problem}"
        wheel = find_wheel(page, name, version, pyg_local_version(self.pins, self.tag), self.python)
        return wheel, f"no {self.cell.abi} wheel on the PyG page for torch {self.pins.torch}+{self.tag}"
