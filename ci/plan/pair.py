"""Resolve what all cells of a CUDA x Python pair share: pins, wheel tags, architectures, the extensions' page."""

from dataclasses import dataclass
from functools import cached_property

from ci.config.matrix import Cell, Matrix
from ci.config.pins import ExtensionPin, TorchPins
from ci.config.sources import Toolkit
from ci.index.wheels import Page, Pages, Wheel
from ci.plan.extensions import Compile, Missing, pyg_page_address, resolve_extension
from ci.plan.inputs import Options, PlanInputs
from ci.plan.installs import Install, resolve_install
from ci.plan.requirements import list_cuda_libraries, select_pins
from ci.util.errors import UserError


def list_extension_pages(cell: Cell, inputs: PlanInputs) -> tuple[str, ...]:
    """List the index pages that must be read before the cell can be planned."""
    tag = inputs.matrix.cuda[cell.cuda].wheel_tag
    address = pyg_page_address(inputs.sources, find_torch_pins(cell, inputs).torch, tag)
    return (address,) if address else ()


def find_torch_pins(cell: Cell, inputs: PlanInputs) -> TorchPins:
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
        return find_torch_pins(self.cell, self.inputs)

    @cached_property
    def torchcodec(self) -> str:
        """Return the version of torchcodec.

        Raises:
            UserError: images have video, but no torchcodec is pinned beside this torch.
        """
        if self.pins.torchcodec is None:
            row = f'[torch.{self.inputs.sources_name}."{self.cuda}"]'
            raise UserError(
                f"matrix: {row} has no torchcodec, which [video] needs unless it has enabled = false"
            )
        return self.pins.torchcodec

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
        return None if own else list_cuda_libraries(self.torch_install.spec.requirements)

    @cached_property
    def page(self) -> Page | None:
        """Return the page of PyG's wheels, None if the sources have none."""
        addresses = list_extension_pages(self.cell, self.inputs)
        unread = (Page(address=address, problem="it was not read") for address in addresses)
        return next((self.pages.get(page.address, page) for page in unread), None)

    @cached_property
    def extensions(self) -> Extensions:
        """Return where each PyG extension comes from."""
        wheels: list[Wheel] = []
        compiled: list[str] = []
        missing: list[str] = []
        reasons: list[str] = []
        notes: list[str] = []
        for name, pin in self.matrix.pyg.extensions.items():
            extension = self._resolve_extension(name, pin)
            if isinstance(extension, Wheel):
                wheels.append(extension)
                reasons.append(f"{name} {pin.version}: wheel")
            elif isinstance(extension, Compile):
                compiled.append(extension.requirement)
                reasons.append(f"{name} {pin.version}: compile ({extension.reason})")
            else:
                missing.append(name)
                notes.append(f"{name} is left out: {extension.reason}")
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

    def _resolve_extension(self, name: str, pin: ExtensionPin) -> Wheel | Compile | Missing:
        return resolve_extension(
            name,
            pin,
            self.page,
            torch=self.pins.torch,
            tag=self.tag,
            python=self.python,
            glibc=self.inputs.sources.images.glibc,
        )
