"""Ask a package's setup.py for its compilers' command lines without running them, and pack its wheel."""

from __future__ import annotations

import importlib
import json
import os
import re
import runpy
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence


@dataclass(frozen=True)
class Compilation:
    """The command that makes one object of an extension module."""

    module: str
    source: str
    object: str
    words: tuple[str, ...]

    @property
    def is_cuda(self) -> bool:
        """Return whether nvcc compiles it."""
        return self.source.endswith(".cu")


@dataclass
class Module:
    """One extension module: its objects, and the commands that link them."""

    name: str
    objects: list[Compilation]
    links: list[tuple[str, ...]]


@dataclass
class Package:
    """A source archive that becomes a wheel; times are in seconds."""

    name: str
    version: str
    source: Path
    build: Path
    modules: list[Module] = field(default_factory=list)
    began: float = 0.0
    seconds: float = 0.0
    wheel: Path | None = None

    @property
    def label(self) -> str:
        """Return the name and version, for the log."""
        return f"{self.name} {self.version}"

    @property
    def objects(self) -> list[Compilation]:
        """Return the compilations of all modules."""
        return [one for module in self.modules for one in module.objects]


def run_setup(source: Path, command: Sequence[str], change: Callable[[dict[str, Any]], None]) -> None:
    """Run a package's setup.py in this process, with changed arguments of its call of setup()."""
    setuptools: Any = importlib.import_module("setuptools")
    real = setuptools.setup

    def setup(**arguments: Any) -> Any:
        change(arguments)
        return real(**arguments)

    os.chdir(source)
    sys.path.insert(0, str(source))
    sys.argv = ["setup.py", *command]
    setuptools.setup = setup
    runpy.run_path("setup.py", run_name="__main__")


def build_folders(package: Package, temporary: str) -> dict[str, dict[str, str]]:
    """Return options of setup.py's commands that set the folders of a build."""
    lib = str(package.build / "lib")
    return {
        "build": {
            "build_base": str(package.build),
            "build_lib": lib,
            "build_platlib": lib,
            "build_purelib": lib,
        },
        "build_ext": {"build_lib": lib, "build_temp": str(package.build / temporary)},
    }


def recording_build_ext(build_ext: Any, package: Package, found: list[Module]) -> Any:
    """Return a package's build_ext, changed so that it appends its modules to `found` and runs no compiler."""

    class Recording(build_ext):  # type: ignore[misc]
        """torch's build_ext without ninja, which would write one build.ninja for all modules."""

        def __init__(self, *positional: Any, **named: Any) -> None:
            super().__init__(*positional, **named)
            self.use_ninja = False

        def build_extensions(self) -> None:
            self.compiler.spawn = self.record
            super().build_extensions()

        def build_extension(self, extension: Any) -> None:
            # Modules share sources, but not macros: each has a folder for its objects.
            self.build_temp = str(package.build / f"temp.{extension.name}")
            found.append(Module(extension.name, [], []))
            super().build_extension(extension)

        def record(self, command: Sequence[Any], *_: Any, **__: Any) -> None:
            words = tuple(str(word) for word in command)
            if "-c" not in words:
                found[-1].links.append(words)
                return
            made, source = words[words.index("-o") + 1], words[words.index("-c") + 1]
            found[-1].objects.append(Compilation(found[-1].name, source, made, words))

    return Recording


def record_commands(package: Package) -> None:
    """Write the commands of all modules of a package to build/commands.json."""
    found: list[Module] = []

    def change(arguments: dict[str, Any]) -> None:
        commands = arguments["cmdclass"]
        commands["build_ext"] = recording_build_ext(commands["build_ext"], package, found)
        arguments["options"] = build_folders(package, "temp")

    run_setup(package.source, ["--quiet", "build_ext"], change)
    text = json.dumps([{**vars(one), "objects": [vars(made) for made in one.objects]} for one in found])
    (package.build / "commands.json").write_text(text, encoding="utf-8")


def read_commands(package: Package) -> list[Module]:
    """Read what `record_commands` wrote.

    Raises:
        UserError: The package has no extension module.
    """
    modules = json.loads((package.build / "commands.json").read_text(encoding="utf-8"))
    if not modules:
        raise UserError(f"{package.name}: no extension module in its setup.py")

    def compilation(made: dict[str, Any]) -> Compilation:
        return Compilation(**{**made, "words": tuple(made["words"])})

    return [
        Module(one["name"], [compilation(made) for made in one["objects"]], [tuple(w) for w in one["links"]])
        for one in modules
    ]


def build_wheel(package: Package) -> None:
    """Pack the wheel: every module is newer than its sources, so setup.py compiles nothing."""

    def change(arguments: dict[str, Any]) -> None:
        build_ext = arguments["cmdclass"]["build_ext"]
        arguments["cmdclass"]["build_ext"] = recording_build_ext(build_ext, package, compiled)
        arguments["options"] = build_folders(package, "temp")

    compiled: list[Module] = []
    run_setup(package.source, ["bdist_wheel", "--dist-dir", str(package.build / "wheel")], change)
    if any(one.objects or one.links for one in compiled):
        raise UserError("setup.py compiled its modules a second time")


# --- changed command lines --------------------------------------------------------------------------------------


def python_includes() -> frozenset[str]:
    """Return the folders of this Python's headers, as setuptools names them."""
    names = ("include", "platinclude")
    folders = {str(sysconfig.get_path(name)) for name in names}
    if (
        sys.prefix != sys.base_prefix
    ):  # a virtual environment has no headers of its own, but setuptools names it
        folders.add(str(Path(sys.prefix) / "include"))
    return frozenset(folders)


def with_torch_at(words: Sequence[str], torch: Path, link: Path) -> tuple[str, ...]:
    """Return a command with torch's headers at a path that is the same for every Python."""
    old = f"-I{torch}/"
    return tuple(f"-I{link}/{word.removeprefix(old)}" if word.startswith(old) else word for word in words)


def without_python(words: Sequence[str], includes: Collection[str]) -> tuple[str, ...]:
    """Return a command without what names Python's version or build, and changes no object without Python.h.

    These are Python's include folders and, of the flags with which Python itself was built, warnings, and paths
    for a debugger.
    """
    ends = next((i for i, word in enumerate(words) if word.startswith("-I")), len(words))
    droppable = re.compile(r"-(?:W(?!l,|p,|a,)(?!error).*|g\d?|fdebug-prefix-map=.*)")
    head = [word for word in words[:ends] if not droppable.fullmatch(word)]
    tail = [word for word in words[ends:] if not (word.startswith("-I") and word[2:] in includes)]
    return (*head, *tail)


def with_headers_first(words: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Return a command that searches a folder for headers before all others."""
    place = next((i for i, word in enumerate(words) if word.startswith("-I")), 1)
    return (*words[:place], f"-I{folder}", *words[place:])


def include_folders(words: Sequence[str]) -> list[str]:
    """Return the folders that a command searches for headers."""
    return [word[2:] for word in words if word.startswith("-I") and len(word) > 2]
