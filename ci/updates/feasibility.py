"""Decide whether a CUDA x Python pair can be built from what the indexes offer now."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from packaging.version import Version

from ci.config.matrix import Matrix, Target
from ci.config.pins import ExtensionPin, TorchPins
from ci.config.sources import fill_placeholders
from ci.index.lookup import IndexCache
from ci.index.projects import File, Project, WheelMetadata
from ci.index.wheels import Page, Wheel
from ci.plan.extensions import Compile, pyg_page_address, resolve_extension
from ci.plan.inputs import PlanInputs
from ci.updates.model import ExtensionState, Path
from ci.util.model import load_model

ObstacleState = Literal["impossible", "unknown"]
COMPANIONS = ("torchvision", "torchaudio")  # released together with torch
_RELEASE = re.compile(r"3\.[0-9]{1,2}\.[0-9]{1,3}")


@dataclass(frozen=True)
class Obstacle:
    """An obstacle to a build, known or suspected; `about` are the versions concerned.

    Two obstacles with the same reason are different if they concern different versions.
    """

    state: ObstacleState
    why: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feasibility:
    """The obstacles to building a pair, and the state of its PyG extensions.

    Obstacles are by layer: "" is the environment, `ray` and `marimo` are on top of it.
    """

    obstacles: Mapping[str, tuple[Obstacle, ...]]
    extensions: Mapping[str, ExtensionState]

    def obstacles_for(self, target: Target) -> tuple[Obstacle, ...]:
        """List the obstacles to a target's image; an impossible environment hides its layers'."""
        environment = self.obstacles.get("", ())
        if any(obstacle.state == "impossible" for obstacle in environment):
            return environment
        layers = (obstacle for layer in target.layers for obstacle in self.obstacles.get(layer, ()))
        return (*environment, *layers)


@dataclass(frozen=True)
class UpdateContext:
    """A matrix with its sources, and what the indexes have."""

    inputs: PlanInputs
    index_cache: IndexCache

    @property
    def matrix(self) -> Matrix:
        """Return the matrix."""
        return self.inputs.matrix

    @property
    def glibc(self) -> str:
        """Return the glibc of the images."""
        return self.inputs.sources.images.glibc

    @property
    def find_torch_pins(self) -> dict[str, TorchPins]:
        """Return the torch pins for the sources in use, by CUDA version."""
        return self.matrix.torch.get(self.inputs.sources_name, {})

    def with_changes(self, changes: Mapping[Path, Any]) -> "UpdateContext":
        """Return the context with other values in the matrix."""
        data = self.matrix.model_dump(by_alias=True)
        for path, value in changes.items():
            table = data
            for key in path[:-1]:
                table = table.setdefault(key, {})
            table[path[-1]] = value
        return replace(self, inputs=replace(self.inputs, matrix=load_model(data, Matrix, "matrix.toml")))

    def torch_index(self, tag: str) -> str | None:
        """Return the index of torch's wheels for a tag, None if the package index has them."""
        template = self.inputs.sources.wheels.torch
        return fill_placeholders(template, tag=tag) if template else None

    def torch_project(self, name: str, tag: str) -> tuple[Project, str | None]:
        """Return the files of torch, or of a companion, and the local label of their versions."""
        index = self.torch_index(tag)
        return self.index_cache.project(name, index), tag if index else None

    def pyg_page(self, torch: str, tag: str) -> Page | None:
        """Return PyG's page of wheels, None if the sources have none."""
        address = pyg_page_address(self.inputs.sources, torch, tag)
        return self.index_cache.page(address) if address else None

    def python_releases(self) -> tuple[Version, ...] | str:
        """List the CPython releases for the environment, newest first, or why they are unknown."""
        channels = self.inputs.sources.conda.channels
        if not channels:
            return tuple(sorted(map(Version, self.inputs.locks.pythons()), reverse=True))
        releases: set[Version] = set()
        for channel in channels:
            builds = self.index_cache.builds(channel, "python")
            if isinstance(builds, str):
                return builds
            releases |= {
                Version(version)
                for version, build in builds
                if _RELEASE.fullmatch(version) and _is_cpython(build)
            }
        return tuple(sorted(releases, reverse=True))

    def wheel_metadata(self, name: str, files: Sequence[File]) -> WheelMetadata | str:
        """Return the metadata of a version, from one of its wheels, or why it is unknown."""
        pythons = dict.fromkeys(pair.python for pair in self.matrix.pairs)
        wheels = [file for file in files if file.is_wheel]
        # The same wheel for all Pythons, because each wheel is a request.
        fitting = (file for python in pythons for file in wheels if file.fits(python, self.glibc))
        file = next(fitting, None)
        return self.index_cache.wheel_metadata(file) if file else f"no wheel of {name} says what it needs"

    def check_pair(self, cuda: str, python: str) -> Feasibility:
        """Decide whether a pair can be built."""
        return _FeasibilityCheck(self, cuda, python).check()


def cuda_tag(cuda: str) -> str:
    """Return the tag of torch's wheels for the CUDA version that torch was built with.

    >>> cuda_tag("12.8")
    'cu128'
    """
    return f"cu{cuda.replace('.', '')}"


def python_source(context: UpdateContext) -> str:
    """Name where the environment's CPython comes from."""
    channels = context.inputs.sources.conda.channels
    return ", ".join(channels) if channels else "the recipe of the channel that is made here"


class _FeasibilityCheck:
    """Collect the obstacles to one pair; `layer` and `about` describe what is being checked."""

    def __init__(self, context: UpdateContext, cuda: str, python: str) -> None:
        self.context = context
        self.matrix = context.matrix
        self.index_cache = context.index_cache
        self.python = python
        self.tag = context.matrix.cuda[cuda].wheel_tag
        self.cuda = cuda
        self.obstacles: dict[str, list[Obstacle]] = {}
        self.extensions: dict[str, ExtensionState] = {}
        self.layer = ""
        self.about: tuple[str, ...] = ()

    def check(self) -> Feasibility:
        if self.cuda not in self.context.find_torch_pins:
            self._report(
                "impossible", f"[torch.{self.context.inputs.sources_name}] has no row for CUDA {self.cuda}"
            )
            return self._result()
        pins = self.context.find_torch_pins[self.cuda]
        self._check_interpreter()
        self._check_torch(pins)
        if not self._is_blocked():
            self._check_pyg(pins.torch)
            self._check_video(pins)
        for layer, version in (("ray", self.matrix.ray.version), ("marimo", self.matrix.marimo.version)):
            self.layer, self.about = layer, (version,)
            self._find_file(self.index_cache.project(layer), version)
        return self._result()

    def _result(self) -> Feasibility:
        obstacles = {layer: tuple(dict.fromkeys(listed)) for layer, listed in self.obstacles.items()}
        return Feasibility(MappingProxyType(obstacles), MappingProxyType(self.extensions))

    def _check_interpreter(self) -> None:
        releases = self.context.python_releases()
        if isinstance(releases, str):
            self._report("unknown", releases)
        elif not any(release.release[:2] == Version(self.python).release for release in releases):
            self._report("impossible", f"there is no CPython {self.python} in {python_source(self.context)}")

    def _check_torch(self, pins: TorchPins) -> None:
        self.about = (pins.torch, pins.torchvision, pins.torchaudio)
        project, local = self.context.torch_project("torch", self.tag)
        file = self._find_file(project, pins.torch, local)
        if file and not local and self.tag != "cpu":
            self._check_torch_cuda(pins.torch, project.files_for(pins.torch))
        for name in () if self._is_blocked() else COMPANIONS:
            project, local = self.context.torch_project(name, self.tag)
            version = getattr(pins, name)
            if not self._find_file(project, version, local):
                continue
            metadata = self._read_metadata(name, project.files_for(version, local))
            for needed in metadata.requirements_on("torch", self.python) if metadata else ():
                if not needed.specifier.contains(pins.torch, prereleases=True):
                    self._report("impossible", f"{name} {version} needs torch{needed.specifier}")

    def _check_torch_cuda(self, torch: str, files: Sequence[File]) -> None:
        metadata = self._read_metadata("torch", files)
        if metadata is None:
            return
        if metadata.cuda is None:
            self._report("unknown", f"torch {torch} does not say which CUDA it is built for")
        elif cuda_tag(metadata.cuda) != self.tag:
            self._report("impossible", f"torch {torch} is built for CUDA {metadata.cuda}: no {self.tag}")

    def _check_pyg(self, torch: str) -> None:
        self.about = (self.matrix.pyg.torch_geometric,)
        self._find_file(self.index_cache.project("torch-geometric"), self.matrix.pyg.torch_geometric)
        page = self.context.pyg_page(torch, self.tag)
        for name, pin in self.matrix.pyg.extensions.items():
            self.about = (name, pin.version, torch)
            self.extensions[name] = self._check_extension(name, pin, page, torch)

    def _check_video(self, pins: TorchPins) -> None:
        if not self.matrix.has_video or not self.matrix.video:
            return
        for name, version in (("torchcodec", pins.torchcodec), ("av", self.matrix.video.av)):
            self.about = (name, version or "")
            if version:
                self._find_file(self.index_cache.project(name), version)
            else:
                self._report("impossible", f"no {name} is pinned beside torch {pins.torch}")

    def _check_extension(self, name: str, pin: ExtensionPin, page: Page | None, torch: str) -> ExtensionState:
        if page and page.problem and not page.not_found:  # a build would compile; here nothing is guessed
            self._report("unknown", page.problem)
            return "unknown"
        extension = resolve_extension(
            name, pin, page, torch=torch, tag=self.tag, python=self.python, glibc=self.context.glibc
        )
        if isinstance(extension, Wheel):
            return "wheel"
        if not isinstance(extension, Compile):
            return "left out"
        project = self.index_cache.project(name)
        files = () if project.problem else project.files_for(pin.version)
        if any(not file.is_wheel for file in files):
            return "compile"
        if project.problem and not project.not_found:
            self._report("unknown", project.problem)
        else:
            self._report("impossible", f"no source of {name} {pin.version} is on the package index")
        return "unknown"

    # -- parts -------------------------------------------------------------------------------------------

    def _find_file(self, project: Project, version: str, local: str | None = None) -> File | None:
        name = f"{project.name} {version}{f'+{local}' if local else ''}"
        if project.problem:
            self._report("impossible" if project.not_found else "unknown", project.problem)
            return None
        files = project.files_for(version, local)
        fitting = [file for file in files if file.fits(self.python, self.context.glibc)]
        if not files:
            self._report("impossible", f"{name} is not on the index")
        elif not fitting:
            pure = any(file.filename.endswith("-none-any.whl") for file in files)
            abi = f"cp{self.python.replace('.', '')}"
            why = f"does not take Python {self.python}" if pure else f"has no {abi} wheel"
            self._report("impossible", f"{name} {why}")
        return max(fitting, key=lambda file: file.is_wheel, default=None)

    def _read_metadata(self, name: str, files: Sequence[File]) -> WheelMetadata | None:
        metadata = self.context.wheel_metadata(name, files)
        if isinstance(metadata, str):
            self._report("unknown", metadata)
            return None
        return metadata

    def _is_blocked(self) -> bool:
        return any(obstacle.state == "impossible" for obstacle in self.obstacles.get("", ()))

    def _report(self, state: ObstacleState, why: str) -> None:
        self.obstacles.setdefault(self.layer, []).append(Obstacle(state, why, self.about))


def _is_cpython(build: str) -> bool:
    # PyPy, GraalPy and the free-threaded build (`_cp314t`) are packages called `python`, too.
    return not ("pypy" in build or "graalpy" in build or (build.endswith("t") and "_cp3" in build))
