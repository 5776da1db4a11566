"""Bundles on this machine: made here with the engine's own parts in them, and an engine made of one, with no network.

What a bundle is, is told by `ci/programs/make_bundle.py`, the program that containers run too.
"""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from engine import debian
from engine.commands import Commands
from engine.places import PROJECT, Places, source_mark
from engine.talk import TroubleError, say

_PROGRAM = PROJECT / "ci" / "programs" / "make_bundle.py"
USAGE = "daggerw bundle PATH [OPTIONS OF EVERY CALL --] [FILTERS], or: verify PATH, diff ONE OTHER"


def _format() -> ModuleType:
    """The program as a module: importing its package would ask for what the module's own Python has."""
    name = "cslr_images_bundle"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _PROGRAM)
        assert spec
        assert spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def program(words: list[str]) -> int:
    """Runs the program: `verify PATH`, `diff ONE OTHER`."""
    status: int = _format().main(words)
    return status


def opened(folder: Path) -> Any:
    """The list of a bundle."""
    program = _format()
    try:
        return program.manifest_of(folder)
    except program.BundleError as error:
        raise TroubleError(str(error)) from None


# -- making one --------------------------------------------------------------------------------------------


def words(arguments: list[str]) -> tuple[Path, list[str], list[str]]:
    """Where the bundle goes, the options of the call, and the filters."""
    if not arguments or arguments[0].startswith("-"):
        raise TroubleError(USAGE)
    target, rest = Path(arguments[0]), arguments[1:]
    call, filters = (rest[: rest.index("--")], rest[rest.index("--") + 1 :]) if "--" in rest else ([], rest)
    return target, call, filters


def begun(target: Path) -> Path:
    """The folder beside a bundle in which its next state is put together."""
    if target.exists() and any(target.iterdir()):
        opened(target)  # only a bundle is written over
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.partial")


def add_engine(folder: Path, places: Places, commands: Commands) -> None:
    """Adds the parts that the engine is made of, and the Debian packages that its machine needs."""
    program, top = _format(), f"engine/{source_mark()}"
    known = json.loads(places.record.read_text())
    tools = Path(known["tools"])
    if tools.name == "tools-brought":
        raise TroubleError("this engine came in a bundle itself: make the bundle where it was made")
    images = next(folder for folder in places.parts.glob("images-*") if not folder.suffix)
    files = {
        f"{top}/{part.name.partition('-')[0]}/{path}": file
        for part in (tools, images)
        for path, file in program.files_below(part)
    }
    with TemporaryDirectory(dir=places.run) as scratch:
        debs = Path(scratch) / "debs"
        debian.download(commands, debs, next(places.parts.glob("roots-*")) / "base")
        program.index_debs(debs)
        files |= {f"{top}/debs/{path}": file for path, file in program.files_below(debs)}
        program.add(folder, opened(folder), [top], files)


def finished(new: Path, target: Path) -> str:
    """Moves what is new into the bundle; what it has stays, the list comes last. Tells what it is."""
    program, manifest = _format(), opened(new)
    for entry in manifest.files:
        have = target / entry.blob
        if (new / entry.blob).is_file() and not (have.is_file() and have.stat().st_size == entry.size):
            have.parent.mkdir(parents=True, exist_ok=True)
            (new / entry.blob).rename(have)
    program.finish(target, manifest)
    shutil.rmtree(new)
    description: str = program.describe(manifest)
    return f"{target}: {description}"


# -- an engine out of one ----------------------------------------------------------------------------------


def has_engine(bundle: Path) -> bool:
    """Whether a bundle has an engine; one of another state of this repository is an error."""
    sets = [one for one in opened(bundle).sets if one.startswith("engine/")]
    if sets and f"engine/{source_mark()}" not in sets:
        raise TroubleError(
            f"the engine in {bundle} is of another state of engine/: use the checkout that the bundle was made with"
        )
    return bool(sets)


def brought(places: Places) -> tuple[Path, Path] | None:
    """The folders of the tools and images that came in a bundle, if they are what this repository says."""
    try:
        known = json.loads(places.brought.read_text())
    except (OSError, ValueError):
        return None
    folders = (places.parts / "tools-brought", places.parts / "images-brought")
    right = known == {"source": source_mark()} and all(folder.is_dir() for folder in folders)
    return folders if right else None


def take_engine(bundle: Path, places: Places, commands: Commands) -> None:
    """Makes the engine's parts of a bundle, each content checked, with no network."""
    top = f"engine/{source_mark()}"
    say(f"makes the embedded engine in {places.cache} of the bundle {bundle}, once")
    places.brought.unlink(missing_ok=True)
    for part in ("tools", "images"):
        folder = places.parts / f"{part}-brought"
        commands.run("rm", "--recursive", "--force", "--one-file-system", str(folder))
        _copy(bundle, f"{top}/{part}", folder)
    for tool in (places.parts / "tools-brought").iterdir():
        tool.chmod(0o755)
    places.run.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=places.run) as scratch:
        debs = Path(scratch) / "debs"
        _copy(bundle, f"{top}/debs", debs)
        debian.ensure_packages(commands, debs)
    places.brought.write_text(json.dumps({"source": source_mark()}))


def _copy(bundle: Path, top: str, folder: Path) -> None:
    program = _format()
    entries = opened(bundle).below(top)
    if not entries:
        raise TroubleError(f"the bundle {bundle} has no {top}")
    for entry in entries:
        target = folder / entry.path.removeprefix(f"{top}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(bundle / entry.blob, target)
        except FileNotFoundError:
            raise TroubleError(f"the bundle {bundle} lacks {entry.blob} ({entry.path})") from None
        if program.sha256_of(target) != entry.sha256:
            raise TroubleError(f"the bundle {bundle} is damaged: {entry.blob} ({entry.path})")
