"""Make the tasks of a compilation: an object each, the links that need them, and the wheels that need those."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from extensions import commands, macros
from extensions.headers import PYTHON, Closure, TorchHeaders, read_closure
from extensions.pool import Task, run_command
from extensions.schedule import MEMORY, SECONDS, Job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extensions.commands import Compilation, Module, Package

_ARCHITECTURE_SECONDS = 20.0  # that each further GPU architecture adds to a CUDA source
_REGISTRATION = 2.0  # how much longer a source takes that registers operators or defines gradients


@dataclass
class Source:
    """A compilation with what its source includes, and its folder of narrow headers, if it has one."""

    package: Package
    made: Compilation
    words: tuple[str, ...]
    closure: Closure
    narrow: Path | None = None


@dataclass
class Preparation:
    """Everything that the commands of all packages depend on besides setup.py."""

    work: Path
    torch: Path
    architectures: int = 1
    narrow: bool = True
    cached: bool = False
    memory: Mapping[str, float] = field(default_factory=lambda: MEMORY)

    @property
    def link(self) -> Path:
        """Return where torch is found by every Python's compilers, so that ccache knows an object again."""
        return self.work / "torch"

    def sources(self, packages: Sequence[Package], only: str = "*") -> list[Source]:
        """Read the sources that match a glob, and write the narrow headers of those that can have them."""
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(self.torch)
        shutil.rmtree(self.work / "narrow", ignore_errors=True)
        found = []
        for package in packages:
            for made in (one for one in package.objects if fnmatchcase(one.source, only)):
                words = commands.with_torch_at(made.words, self.torch, self.link)
                folders = [package.source / name for name in commands.include_folders(words)]
                closure = read_closure(package.source / made.source, folders, package.source)
                found.append(Source(package, made, words, closure))
        headers = TorchHeaders(self.link / "include")
        if self.narrow and headers.known:
            self._write_narrow(found, headers)
        return found

    def _write_narrow(self, sources: Sequence[Source], headers: TorchHeaders) -> None:
        """Write narrow headers, with a guard of the macros that matter."""
        defined = self._macros_of_torch(sources)
        for source in sources:
            known = defined.get(source.made.is_cuda)
            if known is None or not source.closure.replaced:
                continue
            name = source.made.source.replace("/", "_")
            source.narrow = self.work / "narrow" / source.made.module / name
            given = {word[2:].partition("=")[0] for word in source.words if word.startswith("-D")}
            wanted = (macros.names_in_conditions(source.closure.text) & known) - given
            headers.write(source.narrow, source.closure, macros.guard(wanted))

    def _macros_of_torch(self, sources: Sequence[Source]) -> dict[bool, frozenset[str] | None]:
        """Return the macros that torch's own headers define, for host and for CUDA sources."""
        by_compiler: dict[bool, list[Source]] = {}
        for source in sources:
            if source.closure.replaced:
                by_compiler.setdefault(source.made.is_cuda, []).append(source)
        with ThreadPoolExecutor() as threads:
            found = threads.map(lambda pair: self._probe(*pair), by_compiler.items())
        return dict(zip(by_compiler, found, strict=True))

    def _probe(self, cuda: bool, sources: Sequence[Source]) -> frozenset[str] | None:
        """Ask a compiler for the macros of the headers that narrow ones replace; None if it fails."""
        folder = self.work / "probes"
        folder.mkdir(parents=True, exist_ok=True)
        names = {name for source in sources for name in source.closure.replaced}
        if any(PYTHON in source.closure.headers and not source.closure.uses_python for source in sources):
            names.add(PYTHON)
        probe = folder / f"probe{'.cu' if cuda else '.cpp'}"
        # Python.h wants to be the first.
        lines = [f"#include <{name}>\n" for name in sorted(names, key=lambda name: (name != PYTHON, name))]
        probe.write_text("".join(lines), encoding="utf-8")
        out = folder / f"{probe.name}.txt"
        command = macros.probe_command(sources[0].words, probe, out, cuda)
        # Not through ccache, which caches no preprocessing.
        return macros.read_macros(
            command, sources[0].package.source, out, {**os.environ, "CCACHE_DISABLE": "1"}
        )

    def tasks(self, sources: Sequence[Source]) -> list[Task]:
        """Return the tasks of all packages: objects, links, wheels."""
        packages = list({id(source.package): source.package for source in sources}.values())
        tasks = self.objects(sources)
        for package in packages:
            linked = [task for module in package.modules for task in self._links(package, module)]
            needs = frozenset(task.job.name for task in linked)
            job = Job(f"{package.name} wheel", "pack", SECONDS["pack"], MEMORY["pack"], needs)
            work = partial(commands.build_wheel, package)
            tasks += [*linked, Task(package, "wheel", work, job, package.build / "wheel.log")]
        return tasks

    def objects(self, sources: Sequence[Source]) -> list[Task]:
        """Return the tasks of objects."""
        return [self._object(number, source) for number, source in enumerate(sources)]

    def _object(self, number: int, source: Source) -> Task:
        """Return the task of an object: with narrow headers, and with torch's own if that fails."""
        own = self._compile(number, source, None)
        if source.narrow is None:
            return own
        narrow = self._compile(number, source, source.narrow)
        narrow.retry = own
        own.again = True
        return narrow

    def _compile(self, number: int, source: Source, narrow: Path | None) -> Task:
        package, made = source.package, source.made
        words = source.words
        if narrow:
            if not source.closure.uses_python:
                words = commands.without_python(words, commands.python_includes())
            words = commands.with_headers_first(words, narrow)
        kind = ("" if narrow else "full_") + ("cu" if made.is_cuda else "cpp")
        stem = package.build / f"{number}{'.narrow' if narrow else ''}"
        env = {"CCACHE_STATSLOG": f"{stem}.ccache"} if self.cached else {}
        work = partial(_make, made.object, words, package.source, env)
        job = Job(f"{made.module} {made.source}", kind, self._seconds(kind, source), self.memory[kind])
        return Task(package, made.source, work, job, stem.with_name(f"{stem.name}.log"))

    def _seconds(self, kind: str, source: Source) -> float:
        """Foresee the seconds of an object."""
        if source.made.is_cuda:
            return SECONDS[kind] + _ARCHITECTURE_SECONDS * (self.architectures - 1)
        registers = {"RegisterOperators", "TORCH_LIBRARY", "autograd"} & source.closure.words
        return SECONDS[kind] * (_REGISTRATION if registers and kind == "cpp" else 1.0)

    def _links(self, package: Package, module: Module) -> list[Task]:
        """Return the tasks that link a module."""
        needs = frozenset(f"{made.module} {made.source}" for made in module.objects)
        tasks = []
        for number, words in enumerate(module.links):
            name = f"{module.name} link {number}"
            job = Job(name, "link", SECONDS["link"], MEMORY["link"], needs)
            work = partial(_make, words[words.index("-o") + 1], words, package.source, {})
            tasks.append(Task(package, module.name, work, job, package.build / f"{module.name}.{number}.log"))
        return tasks


def _make(made: str, words: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
    """Become the program that makes a file; called in a forked process."""
    Path(made).parent.mkdir(parents=True, exist_ok=True)
    run_command(words, cwd, env)
