"""From a cell to a plan: every stage with its inputs resolved, a reason for each, and what the user should know.

Pure: no engine, no network, no clock. Whoever calls it has read the index pages (`needed_pages`) beforehand.
"""

import re
from dataclasses import dataclass
from typing import Literal, TypeVar

from ci import requirements as lines
from ci.code import Code
from ci.documents import Document
from ci.errors import UserError, choose, shown
from ci.indexes import Page, Pages, Wheel, find_wheel
from ci.lock import Lock
from ci.matrix import Cell, Matrix, PromiseName, Target, TorchPins
from ci.sources import Sources, Toolkit, filled
from ci.specs import (
    Account,
    BaseSpec,
    ChannelSpec,
    CondaSpec,
    ImageSpec,
    InstallSpec,
    PackSpec,
    PygSpec,
    RaySpec,
    RuntimeBaseSpec,
    Spec,
    Stage,
    ToolkitSpec,
    WheelsSpec,
)

PREFIX = "/opt/env"
CUDA_HOME = "/usr/local/cuda"
LABEL = "io.cslr-images"

RayMode = Literal["stable", "nightly", "source"]
S = TypeVar("S", bound=Spec)


class Options(Document):
    """What a caller may choose beyond the cell."""

    archs: str | None = None
    ray: RayMode = "stable"
    strip: bool = False


class Plan(Document):
    """A cell's stages in the order in which they are built, and what the user should know beforehand."""

    cell: Cell
    stages: tuple[Stage, ...]
    notes: tuple[str, ...]
    promised: tuple[PromiseName, ...]

    @property
    def digest(self) -> str:
        """Return the digest of the last stage, which holds all others."""
        return self.stages[-1].digest

    def has(self, name: str) -> bool:
        """Tell whether the plan has a stage."""
        return any(stage.name == name for stage in self.stages)

    def spec(self, name: str, kind: type[S]) -> S:
        """Return the spec of a stage, typed."""
        spec = next(stage.spec for stage in self.stages if stage.name == name)
        if not isinstance(spec, kind):
            raise TypeError(f"stage {name} has a {type(spec).__name__}, not a {kind.__name__}")
        return spec


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Everything that plans are made from, read once."""

    matrix: Matrix
    profile: str
    sources: Sources
    lock: Lock
    code: Code


def needed_pages(cell: Cell, shop: Shop) -> tuple[str, ...]:
    """List the index pages that must be read before the cell can be planned."""
    links = shop.sources.wheels.pyg
    pins = torch_pins(cell, shop)
    return (filled(links, torch=pins.torch, tag=shop.matrix.cuda[cell.cuda].wheel_tag),) if links else ()


def torch_pins(cell: Cell, shop: Shop) -> TorchPins:
    """Return the torch pins of a cell for the sources in use.

    Raises:
        UserError: the matrix has no pins for this CUDA version in this profile.
    """
    table = shop.matrix.torch.get(shop.profile, {})
    if cell.cuda not in table:
        have = ", ".join(table) or "none"
        raise UserError(f"matrix: [torch.{shop.profile}] has no row for CUDA {cell.cuda}; rows: {have}")
    return table[cell.cuda]


def make_plan(cell: Cell, shop: Shop, pages: Pages, options: Options | None = None) -> Plan:
    """Resolve a cell into stages.

    Raises:
        UserError: the sources cannot give what the cell needs.
    """
    return _Planner(cell, shop, pages, options or Options()).plan()


def parse_ray_mode(value: str) -> RayMode:
    """Accept `stable`, `nightly` or `source`."""
    modes: tuple[RayMode, ...] = ("stable", "nightly", "source")
    choose("Ray mode", value, modes)
    return next(mode for mode in modes if mode == value)


class _Planner:
    def __init__(self, cell: Cell, shop: Shop, pages: Pages, options: Options) -> None:
        self.cell = cell
        self.matrix = shop.matrix
        self.sources = shop.sources
        self.profile = shop.profile
        self.lock = shop.lock
        self.code = shop.code
        self.page = next((pages[address] for address in needed_pages(cell, shop) if address in pages), None)
        self.options = options
        self.target: Target = shop.matrix.targets[cell.target]
        self.tag = shop.matrix.cuda[cell.cuda].wheel_tag
        self.pins = torch_pins(cell, shop)
        self.toolkit_source = self._toolkit_source()
        self.stages: list[Stage] = []
        self.notes: list[str] = []

    def plan(self) -> Plan:
        self._facts()
        channel = self._channel()
        toolkit = self._toolkit()
        base = self._base(toolkit)
        conda = self._conda(base, channel)
        torch = self._torch(conda)
        pyg = self._pyg(torch)
        top = pyg
        if "ray" in self.target.layers:
            top = self._ray(top)
        if "marimo" in self.target.layers:
            top = self._marimo(top)
        if self.target.kind == "devel":
            self._image((top,))
        else:
            runtime_base = self._runtime_base(toolkit)
            self._image((runtime_base, self._pack(pyg, top)))
        return Plan(
            cell=self.cell,
            stages=tuple(self.stages),
            notes=tuple(self.notes),
            promised=self.matrix.verify.promises,
        )

    # -- stages ------------------------------------------------------------------------------------------

    def _add(self, name: str, spec: Spec, parents: tuple[Stage | None, ...], reason: str) -> Stage:
        given = tuple(parent for parent in parents if parent is not None)
        stage = Stage(name=name, spec=spec, code=self.code.digest(name), parents=given, reason=reason)
        self.stages.append(stage)
        return stage

    def _facts(self) -> None:
        self.notes += [note for note in (self.matrix.cuda[self.cell.cuda].note, self.pins.note) if note]
        if self.toolkit_source and self.toolkit_source.note:
            self.notes.append(self.toolkit_source.note)

    def _channel(self) -> Stage | None:
        if self.sources.conda.channels:
            return None
        spec = ChannelSpec(
            image=self._place(self.sources.images.cpu), recipe=self.lock.channel(), tools=self.lock.tools()
        )
        return self._add(
            "channel", spec, (), "the sources name no conda channel: one is made from package registries"
        )

    def _toolkit(self) -> Stage | None:
        source = self.toolkit_source
        # A devel image that provides the toolkit has the whole of it: only runtimes need the trimmed one.
        if source is None or (source.provider == "image" and self.target.kind == "devel"):
            return None
        image = self._place(self.sources.images.devel)
        spec = ToolkitSpec(
            provider=source.provider,
            cuda=self.cell.cuda,
            compiler=source.compiler,
            image=image,
            tools=self.lock.tools(),
            wheels=source.wheels,
            deb=source.deb,
        )
        reasons = {
            "image": f"compiler and headers out of {image}",
            "wheels": f"nvcc {source.compiler} from wheels",
            "hybrid": f"no nvcc {spec.cuda} in wheels: Debian's nvcc {source.compiler}, {spec.cuda} headers",
        }
        return self._add("toolkit", spec, (), reasons[source.provider])

    def _base(self, toolkit: Stage | None) -> Stage:
        name = self.sources.images.cpu if self.cell.cuda == "cpu" else self.sources.images.devel
        # An image that provides the toolkit has the whole of it: nothing is laid over.
        adds = self.toolkit_source is not None and self.toolkit_source.provider != "image"
        spec = BaseSpec(
            image=self._place(name),
            apt=self.matrix.apt.devel,
            tools=self.lock.tools(),
            account=self._account(),
            adds_toolkit=adds,
        )
        return self._add("base", spec, (toolkit if adds else None,), f"compilers and tools on {spec.image}")

    def _conda(self, base: Stage, channel: Stage | None) -> Stage:
        spec = CondaSpec(
            prefix=PREFIX,
            channels=self.sources.conda.channels,
            packages=(f"python={self.cell.python}.*", "pip"),
            glibc=self.sources.images.glibc,
            cuda=None if self.cell.cuda == "cpu" else ".".join(self.cell.cuda.split(".")[:2]),
        )
        return self._add("conda", spec, (base, channel), f"CPython {self.cell.python} at {PREFIX}")

    def _torch(self, conda: Stage) -> Stage:
        return self._add(
            "torch",
            self._install("torch"),
            (conda,),
            f"torch {self.pins.torch} built for {self._torch_build()}",
        )

    def _pyg(self, torch: Stage) -> Stage:
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
                self.notes.append(f"{name} is left out: {reason}, and no source is on the package index")
        built: Stage | None = None
        if compiled:
            spec = WheelsSpec(
                requirements=self._sdists(compiled),
                arch_list=self._arch_list(),
                job_gb=self.matrix.limits.job_gb,
            )
            for_archs = f" for {spec.arch_list}" if spec.arch_list else " for the CPU"
            built = self._add("wheels", spec, (torch,), f"compile {', '.join(compiled)}{for_archs}")
        pyg = PygSpec(
            install=self._install("pyg"),
            wheels=tuple(wheels),
            compiled=tuple(compiled),
            left_out=tuple(left_out),
        )
        return self._add("pyg", pyg, (torch, built), "; ".join(why))

    def _find(self, name: str, version: str) -> tuple[Wheel | None, str]:
        if not self.sources.wheels.pyg:
            return None, "the sources have no page of PyG wheels"
        page = self.page or Page(address="", problem="it was not read")
        if page.problem:
            return None, f"the page of PyG wheels could not be read: {page.problem}"
        short = "".join(self.pins.torch.split(".")[:2])
        wheel = find_wheel(page, name, version, f"pt{short}{self.tag}", self.cell.python)
        return wheel, f"no {self.cell.abi} wheel on the PyG page for torch {self.pins.torch}+{self.tag}"

    def _ray(self, below: Stage) -> Stage:
        mode = self.options.ray
        if mode == "nightly":
            template = self.sources.wheels.ray_nightly
            if not template:
                raise UserError(
                    f"the {self.profile} sources have no nightly Ray wheels; accepted here: stable"
                )
            wheel = lines.ray_nightly_wheel(self.matrix.ray.nightly, self.cell.abi)
            spec = RaySpec(
                mode=mode, install=self._install("ray", locked=False), wheel=filled(template, wheel=wheel)
            )
            return self._add("ray", spec, (below,), f"Ray nightly: {wheel}")
        if mode == "source":
            repository = self.sources.wheels.ray_source
            if not repository:
                raise UserError(f"the {self.profile} sources have no Ray repository; accepted here: stable")
            spec = RaySpec(
                mode=mode,
                install=self._install("ray", locked=False),
                repository=repository,
                ref=f"ray-{self.matrix.ray.version}",
            )
            return self._add(
                "ray", spec, (below,), f"Ray {self.matrix.ray.version} built from source with bazel"
            )
        spec = RaySpec(mode=mode, install=self._install("ray"))
        return self._add("ray", spec, (below,), f"Ray {self.matrix.ray.version} from the package index")

    def _marimo(self, below: Stage) -> Stage:
        return self._add("marimo", self._install("marimo"), (below,), f"marimo {self.matrix.marimo.version}")

    def _runtime_base(self, toolkit: Stage | None) -> Stage:
        images = self.sources.images
        name = self._place(images.cpu if self.cell.cuda == "cpu" else images.runtime)
        spec = RuntimeBaseSpec(image=name, apt=self.matrix.apt.runtime, account=self._account())
        return self._add(
            "runtime-base",
            spec,
            (toolkit,),
            f"compilers for JIT on {name}; torch's wheels bring CUDA's libraries",
        )

    def _pack(self, pyg: Stage, top: Stage) -> Stage:
        spec = PackSpec(prefix=PREFIX, strip=self.options.strip)
        parents = (pyg,) if top is pyg else (pyg, top)
        return self._add("pack", spec, parents, f"the environment as conda-pack exports it for {PREFIX}")

    def _image(self, parents: tuple[Stage, ...]) -> Stage:
        serves = "marimo" in self.target.layers
        port = self.matrix.marimo.port if serves else None
        args: tuple[str, ...] = ("bash",)
        if serves and self.target.kind == "runtime":
            args = ("marimo", "edit", "--headless", "--host", "0.0.0.0", "--port", str(port), "--no-token")  # noqa: S104
        spec = ImageSpec(
            kind=self.target.kind,
            account=self._account(),
            env=self._env(),
            labels=self._labels(),
            entrypoint=("tini", "--"),
            args=args,
            port=port,
        )
        return self._add("image", spec, parents, f"{self.cell.id}: user, environment, labels")

    # -- parts of specs ----------------------------------------------------------------------------------

    def _install(self, stage: str, *, locked: bool = True) -> InstallSpec:
        torch_index = self.sources.wheels.torch
        local = self.tag if torch_index else None
        nightly = self.options.ray == "nightly"
        asked = lines.wanted(stage, self.matrix, self.pins, local, nightly=nightly)
        text = self.lock.requirements(self.profile, self.cell.pair_id, stage) if locked else None
        if text is not None and not lines.honours(text, asked):
            self.notes.append(
                f"the lock of stage {stage} is for other pins: installed by version, without hashes"
            )
            text = None
        return InstallSpec(
            requirements=text or asked,
            hashed=text is not None,
            index=self.sources.wheels.index,
            extra_index=filled(torch_index, tag=self.tag) if torch_index else None,
            frozen=stage != "torch" and text is None,
            cache_gb=self.matrix.limits.uv_cache_gb,
        )

    def _sdists(self, pins: list[str]) -> str:
        locked = lines.picked(self.lock.sdists(), pins)
        if locked is None:
            self.notes.append("the lock of PyG's sources is for other pins: taken by version, without hashes")
        return locked or "".join(f"{pin}\n" for pin in pins)

    def _account(self) -> Account:
        image = self.matrix.image
        return Account(user=image.user, uid=image.uid, workdir=image.workdir)

    def _toolkit_source(self) -> Toolkit | None:
        if self.cell.cuda == "cpu":
            return None
        if self.cell.cuda not in self.sources.toolkit:
            have = ", ".join(self.sources.toolkit)
            raise UserError(
                f"the {self.profile} sources have no toolkit for CUDA {self.cell.cuda}; they have: {have}"
            )
        return self.sources.toolkit[self.cell.cuda]

    def _arch_list(self) -> str | None:
        if self.cell.cuda == "cpu":
            return None
        if self.options.archs:
            return self.options.archs
        table = self.matrix.archs.get(self.profile, {})
        if self.cell.cuda not in table:
            raise UserError(f"matrix: [archs.{self.profile}] has no row for CUDA {self.cell.cuda}")
        return table[self.cell.cuda]

    def _torch_build(self) -> str:
        if self.tag == "cpu" and not self.sources.wheels.torch:
            return "CUDA, as the package index has it"
        return "the CPU" if self.tag == "cpu" else f"CUDA {self.tag.removeprefix('cu')[:2]}.{self.tag[-1]}"

    def _torch_version(self) -> str:
        # PyPI's torch is a CUDA build, on the CPU variant too: only an index of its own has +cpu.
        own = self.tag != "cpu" or self.sources.wheels.torch
        return f"{self.pins.torch}+{self.tag}" if own else self.pins.torch

    def _place(self, template: str) -> str:
        return filled(template, cuda=self.cell.cuda)

    def _env(self) -> tuple[tuple[str, str], ...]:
        path = f"{PREFIX}/bin"
        env = [("LANG", "C.UTF-8"), ("CONDA_PREFIX", PREFIX)]
        if self.cell.cuda != "cpu":
            path += f":{CUDA_HOME}/bin"
            env += [
                ("CUDA_HOME", CUDA_HOME),
                ("NVIDIA_VISIBLE_DEVICES", "all"),
                ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
            ]
        if self.target.kind == "devel":
            path += ":/opt/tools/bin"
        return (("PATH", f"{path}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), *env)

    def _labels(self) -> tuple[tuple[str, str], ...]:
        labels = {
            "org.opencontainers.image.title": self.cell.id,
            "org.opencontainers.image.source": self.matrix.image.source,
            f"{LABEL}.cuda": self.cell.cuda,
            f"{LABEL}.python": self.cell.python,
            f"{LABEL}.target": self.cell.target,
            f"{LABEL}.sources": self.profile,
            f"{LABEL}.torch": self._torch_version(),
            f"{LABEL}.torchvision": self.pins.torchvision,
            f"{LABEL}.torchaudio": self.pins.torchaudio,
            f"{LABEL}.torch-geometric": self.matrix.pyg.torch_geometric,
        }
        if self.toolkit_source:
            labels[f"{LABEL}.toolkit"] = self.cell.cuda
            labels[f"{LABEL}.toolkit-compiler"] = f"nvcc {self.toolkit_source.compiler}"
            labels[f"{LABEL}.archs"] = self._arch_list() or ""
        if "ray" in self.target.layers:
            versions = {"stable": self.matrix.ray.version, "nightly": self.matrix.ray.nightly}
            labels[f"{LABEL}.ray"] = versions.get(self.options.ray, f"{self.matrix.ray.version} (source)")
        if "marimo" in self.target.layers:
            labels[f"{LABEL}.marimo"] = self.matrix.marimo.version
        return tuple(sorted(labels.items()))


def checked_archs(value: str) -> str:
    """Accept a list of GPU architectures as torch writes them: `8.0 9.0+PTX`."""

    if not re.fullmatch(r"[0-9]{1,2}\.[0-9][a-z]?(\+PTX)?([ ;][0-9]{1,2}\.[0-9][a-z]?(\+PTX)?)*", value):
        raise UserError(
            f"bad list of GPU architectures {shown(value)}; accepted: numbers such as '8.0 9.0+PTX'"
        )
    return value
