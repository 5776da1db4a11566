"""A CUDA x Python pair: every stage that its cells share, with its inputs resolved and a reason for each.

Pure: no engine, no network, no clock. Whoever calls it has read the index pages (`needed_pages`) beforehand.
"""

from collections.abc import Iterable
from functools import cached_property

from ci.config.matrix import Cell, TorchPins
from ci.config.sources import fill_placeholders
from ci.index.wheels import Page, Pages, Wheel, find_wheel
from ci.plan import requirements as lines
from ci.plan.cuda import CudaStages
from ci.plan.inputs import Options, PlanInputs
from ci.plan.specs import (
    CUDA_HOME,
    PREFIX,
    CondaSpec,
    InstallSpec,
    InterpreterSpec,
    PygSpec,
    RaySpec,
    Stage,
    WheelsSpec,
)
from ci.util.errors import UserError

LABEL = "io.cslr-images"


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
        UserError: the matrix has no pins for this CUDA version in this profile.
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


class EnvironmentStages:
    """One CUDA x Python pair, that of a cell: the stages that its cells share, each made when it is asked for first.

    `conda` tells whether conda makes the environment, or uv alone.
    """

    def __init__(
        self,
        cell: Cell,
        pins: TorchPins,
        line: CudaStages,
        inputs: PlanInputs,
        pages: Pages,
        options: Options,
        *,
        conda: bool = True,
    ) -> None:
        self.line = line
        self.conda = conda
        self.cuda = cell.cuda
        self.python = cell.python
        self.abi = cell.abi
        self.pair_id = cell.pair_id
        self.matrix = inputs.matrix
        self.sources = inputs.sources
        self.sources_name = inputs.sources_name
        self.lock = inputs.lock
        self.page = next(
            (pages[address] for address in extension_pages(cell, inputs) if address in pages), None
        )
        self.options = options
        self.tag = inputs.matrix.cuda[cell.cuda].wheel_tag
        self.pins = pins
        self._marimo: dict[str, Stage] = {}
        self._notes: dict[str, list[str]] = {}

    def notes(self, stages: Iterable[Stage]) -> tuple[str, ...]:
        """Return what the user should know about the pair and about some of its stages."""
        facts = [self.matrix.cuda[self.cuda].note, self.pins.note]
        facts += self.line.notes
        facts += [note for stage in stages for note in self._notes.get(stage.name, ())]
        return tuple(note for note in facts if note)

    # -- stages ------------------------------------------------------------------------------------------

    @property
    def channel(self) -> Stage | None:
        """Return the stage of the conda channel that is made here, None where none is needed."""
        return self.line.channel if self.conda else None

    @cached_property
    def interpreter(self) -> Stage:
        """Return the stage of CPython at its prefix: a conda environment, or an interpreter alone."""
        return self._conda_environment() if self.conda else self._bare_interpreter()

    def _conda_environment(self) -> Stage:
        spec = CondaSpec(
            prefix=PREFIX,
            channels=self.sources.conda.channels,
            packages=(f"python={self.python}.*", "pip"),
            glibc=self.sources.images.glibc,
            cuda=None if self.cuda == "cpu" else ".".join(self.cuda.split(".")[:2]),
        )
        return self.line.add(
            "conda", spec, (self.line.base, self.line.channel), f"CPython {self.python} at {PREFIX}"
        )

    def _bare_interpreter(self) -> Stage:
        address = self.sources.interpreter.standalone
        recipe, pip, made = None, "pip\n", "a standalone build that uv fetches"
        if address is None:
            found = self.lock.interpreter(self.python)
            if found is None:
                raise UserError(
                    f"the {self.sources_name} sources have no CPython {self.python} without conda"
                )
            recipe, pip = found
            made = "the sources have no standalone build: made of what the conda channel is made of"
        spec = InterpreterSpec(
            prefix=PREFIX,
            python=self.python,
            standalone=address,
            image=self.sources.images.cpu,
            recipe=recipe,
            tools=self.lock.tools(),
            pip=InstallSpec(
                requirements=pip,
                hashed=recipe is not None,
                index=self.sources.wheels.index,
                cache_gb=self.matrix.limits.uv_cache_gb,
            ),
        )
        why = f"CPython {self.python} at {PREFIX} without conda; {made}"
        return self.line.add("interpreter", spec, (self.line.base,), why)

    @cached_property
    def torch(self) -> Stage:
        """Return the stage of PyTorch."""
        return self.line.add(
            "torch",
            self._torch_install,
            (self.interpreter,),
            f"torch {self.pins.torch} built for {self._torch_build()}",
        )

    @cached_property
    def pyg(self) -> Stage:
        """Return the stage of PyTorch Geometric; that of its compiled extensions, if any, is its second parent."""
        wheels: list[Wheel] = []
        compiled: list[str] = []
        left_out: list[str] = []
        why: list[str] = []
        for name, pin in self.matrix.pyg.extensions.items():
            wheel, reason = self._find(name, pin.version)
            if wheel:
                wheels.append(wheel)
                why.append(f"{name} {pin.version}: wheel")
            elif pin.sdist:
                compiled.append(f"{name}=={pin.version}")
                why.append(f"{name} {pin.version}: compile ({reason})")
            else:
                left_out.append(name)
                self._note("pyg", f"{name} is left out: {reason}, and no source is on the package index")
        built: Stage | None = None
        if compiled:
            spec = WheelsSpec(
                requirements=self._sdists(compiled),
                arch_list=self.arch_list,
                job_gb=self.matrix.limits.job_gb,
            )
            for_archs = f" for {spec.arch_list}" if spec.arch_list else " for the CPU"
            built = self.line.add("wheels", spec, (self.torch,), f"compile {', '.join(compiled)}{for_archs}")
        pyg = PygSpec(
            install=self._install("pyg"),
            wheels=tuple(wheels),
            compiled=tuple(compiled),
            left_out=tuple(left_out),
        )
        return self.line.add("pyg", pyg, (self.torch, built), "; ".join(why))

    @cached_property
    def ray(self) -> Stage:
        """Return the stage of Ray."""
        mode = self.options.ray
        if mode == "nightly":
            template = self.sources.wheels.ray_nightly
            if not template:
                raise UserError(
                    f"the {self.sources_name} sources have no nightly Ray wheels; accepted here: stable"
                )
            wheel = lines.ray_nightly_wheel(self.matrix.ray.nightly, self.abi)
            spec = RaySpec(
                mode=mode,
                install=self._install("ray", locked=False),
                wheel=fill_placeholders(template, wheel=wheel),
            )
            return self.line.add("ray", spec, (self.pyg,), f"Ray nightly: {wheel}")
        if mode == "source":
            repository = self.sources.wheels.ray_source
            if not repository:
                raise UserError(
                    f"the {self.sources_name} sources have no Ray repository; accepted here: stable"
                )
            spec = RaySpec(
                mode=mode,
                install=self._install("ray", locked=False),
                repository=repository,
                ref=f"ray-{self.matrix.ray.version}",
            )
            return self.line.add(
                "ray", spec, (self.pyg,), f"Ray {self.matrix.ray.version} built from source with bazel"
            )
        spec = RaySpec(mode=mode, install=self._install("ray"))
        return self.line.add(
            "ray", spec, (self.pyg,), f"Ray {self.matrix.ray.version} from the package index"
        )

    def marimo(self, below: Stage) -> Stage:
        """Return the stage of marimo on top of another."""
        if below.digest not in self._marimo:
            reason = f"marimo {self.matrix.marimo.version}"
            self._marimo[below.digest] = self.line.add("marimo", self._install("marimo"), (below,), reason)
        return self._marimo[below.digest]

    def _find(self, name: str, version: str) -> tuple[Wheel | None, str]:
        if not self.sources.wheels.pyg:
            return None, "the sources have no page of PyG wheels"
        page = self.page or Page(address="", problem="it was not read")
        if page.problem:
            return None, f"the page of PyG wheels could not be read: {page.problem}"
        wheel = find_wheel(page, name, version, pyg_local_version(self.pins, self.tag), self.python)
        return wheel, f"no {self.abi} wheel on the PyG page for torch {self.pins.torch}+{self.tag}"

    @cached_property
    def _torch_install(self) -> InstallSpec:
        return self._install("torch")

    # -- parts of specs ----------------------------------------------------------------------------------

    def _install(self, stage: str, *, locked: bool = True) -> InstallSpec:
        torch_index = self.sources.wheels.torch
        local = self.tag if torch_index else None
        nightly = self.options.ray == "nightly"
        asked = lines.requirement_lines(stage, self.matrix, self.pins, local, nightly=nightly)
        text = self.lock.requirements(self.sources_name, self.pair_id, stage) if locked else None
        if text is not None and not lines.satisfies(text, asked):
            self._note(
                stage, f"the lock of stage {stage} is for other pins: installed by version, without hashes"
            )
            text = None
        return InstallSpec(
            requirements=text or asked,
            hashed=text is not None,
            index=self.sources.wheels.index,
            extra_index=fill_placeholders(torch_index, tag=self.tag) if torch_index else None,
            frozen=stage != "torch" and text is None,
            cache_gb=self.matrix.limits.uv_cache_gb,
        )

    def _sdists(self, pins: list[str]) -> str:
        locked = lines.select_pins(self.lock.sdists(), pins)
        if locked is None:
            self._note("pyg", "the lock of PyG's sources is for other pins: taken by version, without hashes")
        return locked or "".join(f"{pin}\n" for pin in pins)

    def _note(self, stage: str, text: str) -> None:
        self._notes.setdefault(stage, []).append(text)

    @cached_property
    def arch_list(self) -> str | None:
        """Return the GPU architectures of compiled extensions, None for the CPU."""
        if self.cuda == "cpu":
            return None
        if self.options.archs:
            return self.options.archs
        table = self.matrix.archs.get(self.sources_name, {})
        if self.cuda not in table:
            raise UserError(f"matrix: [archs.{self.sources_name}] has no row for CUDA {self.cuda}")
        return table[self.cuda]

    @cached_property
    def libraries(self) -> str | None:
        """Return the pins of CUDA's libraries in the environment, None where torch brings none."""
        own = self.tag == "cpu" and self.sources.wheels.torch  # PyPI's torch brings them into CPU images too
        return None if own else lines.cuda_libraries(self._torch_install.requirements)

    def _torch_build(self) -> str:
        if self.tag == "cpu" and not self.sources.wheels.torch:
            return "CUDA, as the package index has it"
        return "the CPU" if self.tag == "cpu" else f"CUDA {self.tag.removeprefix('cu')[:2]}.{self.tag[-1]}"

    def _torch_version(self) -> str:
        # PyPI's torch is a CUDA build, in CPU images too: only an index of its own has +cpu.
        own = self.tag != "cpu" or self.sources.wheels.torch
        return f"{self.pins.torch}+{self.tag}" if own else self.pins.torch

    @cached_property
    def env(self) -> tuple[tuple[str, str], ...]:
        """Return the variables of an image; PATH comes first, without the system's own folders."""
        path, env = f"{PREFIX}/bin", [("LANG", "C.UTF-8")]
        if self.conda:
            env.append(("CONDA_PREFIX", PREFIX))
        if self.cuda != "cpu":
            path += f":{CUDA_HOME}/bin"
            env += [
                ("CUDA_HOME", CUDA_HOME),
                ("NVIDIA_VISIBLE_DEVICES", "all"),
                ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
            ]
        return (("PATH", path), *env)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Return the labels that all images of the pair have."""
        found = {
            "org.opencontainers.image.source": self.matrix.image.source,
            f"{LABEL}.cuda": self.cuda,
            f"{LABEL}.python": self.python,
            f"{LABEL}.sources": self.sources_name,
            f"{LABEL}.torch": self._torch_version(),
            f"{LABEL}.torchvision": self.pins.torchvision,
            f"{LABEL}.torchaudio": self.pins.torchaudio,
            f"{LABEL}.torch-geometric": self.matrix.pyg.torch_geometric,
        }
        if self.line.toolkit_source:
            found[f"{LABEL}.toolkit"] = self.cuda
            found[f"{LABEL}.toolkit-compiler"] = f"nvcc {self.line.toolkit_source.compiler}"
            found[f"{LABEL}.archs"] = self.arch_list or ""
        return found
