"""What the cells of a pair can be made of, as the indexes are now: what is there, what not, what is unknown. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from packaging.version import Version

from ci.config.matrix import Matrix, Target, TorchPins
from ci.config.sources import fill_placeholders
from ci.index.lookup import IndexCache
from ci.index.projects import File, Project, WheelMetadata
from ci.plan.inputs import PlanInputs
from ci.util.model import load_model

State = Literal["possible", "impossible", "unknown"]
StageCache = Literal["wheel", "compile", "left out", "unknown"]
Path = tuple[str, ...]
_RELEASE = re.compile(r"3\.[0-9]{1,2}\.[0-9]{1,3}")
COMPANIONS = ("torchvision", "torchaudio")


@dataclass(frozen=True)
class Obstacle:
    """Why something cannot be made, or why that is not known; `judged` are the versions that it is said of.

    So what is not known of a version says nothing of another one, though the reason reads the same.
    """

    state: Literal["impossible", "unknown"]
    why: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feasibility:
    """What stands in the way of a pair's environment (""), its Ray and its marimo; how its PyG extensions come."""

    troubles: Mapping[str, tuple[Obstacle, ...]]
    extensions: Mapping[str, StageCache]

    def of(self, target: Target) -> tuple[Obstacle, ...]:
        """Return what stands in the way of a target's image; of its layers only where the environment can be made."""
        environment = self.troubles.get("", ())
        if any(one.state == "impossible" for one in environment):
            return environment
        return (*environment, *(one for layer in target.layers for one in self.troubles.get(layer, ())))


@dataclass(frozen=True)
class UpdateContext:
    """A matrix with its sources, and the indexes that it is judged by."""

    inputs: PlanInputs
    index_cache: IndexCache

    @property
    def matrix(self) -> Matrix:
        """Return the matrix."""
        return self.inputs.matrix

    def changed(self, changes: Mapping[Path, Any]) -> "UpdateContext":
        """Return the scene with other values in the matrix, by their paths: `("ray", "version")`."""
        data = self.matrix.model_dump(by_alias=True)
        for path, value in changes.items():
            table = data
            for key in path[:-1]:
                table = table.setdefault(key, {})
            table[path[-1]] = value
        return replace(self, inputs=replace(self.inputs, matrix=load_model(data, Matrix, "matrix.toml")))

    def torch_index(self, tag: str) -> str | None:
        """Return the index of torch's wheels for a tag, None where the package index has them."""
        template = self.inputs.sources.wheels.torch
        return fill_placeholders(template, tag=tag) if template else None

    def torch(self, name: str, tag: str) -> tuple[Project, str | None]:
        """Return the files of torch, or of what is released with it, and their local label."""
        index = self.torch_index(tag)
        return self.index_cache.project(name, index), tag if index else None

    def pyg_page(self, torch: str, tag: str) -> str | None:
        """Return the address of PyG's page of wheels, None where the sources have none."""
        template = self.inputs.sources.wheels.pyg
        return fill_placeholders(template, torch=torch, tag=tag) if template else None

    def pythons(self) -> tuple[Version, ...] | str:
        """Return the CPythons that the environment can have, the newest first, or why they are not known."""
        channels = self.inputs.sources.conda.channels
        if not channels:
            recipe = json.loads(self.inputs.locks.channel())
            return tuple(sorted((Version(one["version"]) for one in recipe["python"]), reverse=True))
        found: set[Version] = set()
        for channel in channels:
            builds = self.index_cache.builds(channel, "python")
            if isinstance(builds, str):
                return builds
            found |= {
                Version(version)
                for version, build in builds
                if _RELEASE.fullmatch(version) and _is_cpython(build)
            }
        return tuple(sorted(found, reverse=True))

    def needs(self, name: str, files: Sequence[File]) -> WheelMetadata | str:
        """Return what a version says that it needs, by one of its wheels, or why that is not known."""
        pythons = dict.fromkeys(pair.python for pair in self.matrix.pairs)
        glibc = self.inputs.sources.images.glibc
        # The same wheel for all Pythons: each is a request.
        wheels = [one for one in files if one.is_wheel]
        fitting = (one for python in pythons for one in wheels if one.fits(python, glibc))
        file = next(fitting, None)
        return self.index_cache.needs(file) if file else f"no wheel of {name} says what it needs"

    def feasibility(self, cuda: str, python: str) -> Feasibility:
        """Look at a pair."""
        return _FeasibilityCheck(self, cuda, python).feasibility()


def pyg_local_version(torch: str, tag: str) -> str:
    """Return how PyG names torch and CUDA: `pt211cu130`."""
    return f"pt{''.join(torch.split('.')[:2])}{tag}"


def tag_of(cuda: str) -> str:
    """Return the tag of torch's wheels for the CUDA version that torch was built with.

    >>> tag_of("12.8")
    'cu128'
    """
    return f"cu{cuda.replace('.', '')}"


class _FeasibilityCheck:
    def __init__(self, context: UpdateContext, cuda: str, python: str) -> None:
        self.context = context
        self.matrix = context.matrix
        self.index_cache = context.index_cache
        self.python = python
        self.abi = f"cp{python.replace('.', '')}"
        self.tag = context.matrix.cuda[cuda].wheel_tag
        self.cuda = cuda
        self.glibc = context.inputs.sources.images.glibc
        self.troubles: dict[str, list[Obstacle]] = {}
        self.extensions: dict[str, StageCache] = {}
        self.layer = ""
        self.about: tuple[str, ...] = ()

    def feasibility(self) -> Feasibility:
        rows = self.matrix.torch.get(self.context.inputs.sources_name, {})
        if self.cuda not in rows:
            self._impossible(f"[torch.{self.context.inputs.sources_name}] has no row for CUDA {self.cuda}")
            return self._found()
        self.pins: TorchPins = rows[self.cuda]
        self._interpreter()
        self._torch()
        if not self._blocked():
            self._pyg()
        for layer, version in (("ray", self.matrix.ray.version), ("marimo", self.matrix.marimo.version)):
            self.layer, self.about = layer, (version,)
            self._pick(self.index_cache.project(layer), version)
        return self._found()

    def _found(self) -> Feasibility:
        found = {layer: tuple(dict.fromkeys(troubles)) for layer, troubles in self.troubles.items()}
        return Feasibility(MappingProxyType(found), MappingProxyType(self.extensions))

    def _interpreter(self) -> None:
        found = self.context.pythons()
        if isinstance(found, str):
            self._unknown(found)
        elif not any(one.release[:2] == Version(self.python).release for one in found):
            self._impossible(f"there is no CPython {self.python} in {python_source(self.context)}")

    def _torch(self) -> None:
        self.about = (self.pins.torch, self.pins.torchvision, self.pins.torchaudio)
        project, local = self.context.torch("torch", self.tag)
        file = self._pick(project, self.pins.torch, local)
        if file and not local and self.tag != "cpu":
            self._built_for_cuda(project.of(self.pins.torch))
        for name in () if self._blocked() else COMPANIONS:
            project, local = self.context.torch(name, self.tag)
            version = getattr(self.pins, name)
            if not self._pick(project, version, local):
                continue
            needs = self._needs(name, project.of(version, local))
            for one in needs.on("torch", self.python) if needs else ():
                if not one.specifier.contains(self.pins.torch, prereleases=True):
                    self._impossible(f"{name} {version} needs torch{one.specifier}")

    def _built_for_cuda(self, files: Sequence[File]) -> None:
        needs = self._needs("torch", files)
        if needs is None:
            return
        if needs.cuda is None:
            self._unknown(f"torch {self.pins.torch} does not say which CUDA it is built for")
        elif tag_of(needs.cuda) != self.tag:
            self._impossible(f"torch {self.pins.torch} is built for CUDA {needs.cuda}: no {self.tag}")

    def _pyg(self) -> None:
        self.about = (self.matrix.pyg.torch_geometric,)
        self._pick(self.index_cache.project("torch-geometric"), self.matrix.pyg.torch_geometric)
        address = self.context.pyg_page(self.pins.torch, self.tag)
        for name, pin in self.matrix.pyg.extensions.items():
            self.about = (name, pin.version, self.pins.torch)
            if address:
                found = self.index_cache.wheel(
                    address, name, pin.version, pyg_local_version(self.pins.torch, self.tag), self.python
                )
                if found is not None:
                    self.extensions[name] = "unknown" if isinstance(found, str) else "wheel"
                    if isinstance(found, str):
                        self._unknown(found)
                    continue
            if not pin.sdist:
                self.extensions[name] = "left out"
                continue
            project = self.index_cache.project(name)
            files = () if project.problem else project.of(pin.version)
            self.extensions[name] = "compile" if any(not one.is_wheel for one in files) else "unknown"
            if project.problem and not project.absent:
                self._unknown(project.problem)
            elif self.extensions[name] == "unknown":
                self._impossible(f"no source of {name} {pin.version} is on the package index")

    # -- parts -------------------------------------------------------------------------------------------

    def _pick(self, project: Project, version: str, local: str | None = None) -> File | None:
        name = f"{project.name} {version}{f'+{local}' if local else ''}"
        if project.problem:
            (self._impossible if project.absent else self._unknown)(project.problem)
            return None
        files = project.of(version, local)
        fitting = [file for file in files if file.fits(self.python, self.glibc)]
        if not files:
            self._impossible(f"{name} is not on the index")
        elif not fitting:
            pure = any(file.filename.endswith("-none-any.whl") for file in files)
            said = f"does not take Python {self.python}" if pure else f"has no {self.abi} wheel"
            self._impossible(f"{name} {said}")
        return max(fitting, key=lambda file: file.is_wheel, default=None)

    def _needs(self, name: str, files: Sequence[File]) -> WheelMetadata | None:
        found = self.context.needs(name, files)
        if isinstance(found, str):
            self._unknown(found)
            return None
        return found

    def _blocked(self) -> bool:
        return any(one.state == "impossible" for one in self.troubles.get("", ()))

    def _impossible(self, why: str) -> None:
        self.troubles.setdefault(self.layer, []).append(Obstacle("impossible", why, self.about))

    def _unknown(self, why: str) -> None:
        self.troubles.setdefault(self.layer, []).append(Obstacle("unknown", why, self.about))


def python_source(context: UpdateContext) -> str:
    """Name where the environment's CPython comes from."""
    channels = context.inputs.sources.conda.channels
    return ", ".join(channels) if channels else "the recipe of the channel that is made here"


def _is_cpython(build: str) -> bool:
    # Not PyPy, GraalPy, nor the free-threaded build (`_cp314t`), all of which are called `python` too.
    return not ("pypy" in build or "graalpy" in build or (build.endswith("t") and "_cp3" in build))
