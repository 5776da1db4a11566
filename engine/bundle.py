"""Write bundles with the engine in them, and set the engine up from one without a network.

`ci/programs/make_bundle.py` defines the format of a bundle; containers run that program too.
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
from engine.output import EngineError, warn
from engine.paths import PROJECT, Paths, compute_source_digest
from engine.processes import Commands

PROGRAM = PROJECT / "ci" / "programs" / "make_bundle.py"
USAGE = "daggerw bundle PATH [OPTIONS OF EVERY CALL --] [FILTERS], or: verify PATH, diff ONE OTHER"


def _load_program() -> ModuleType:
    """Import make_bundle.py from its file.

    Importing its package would need the dependencies of the Dagger module, which this Python may not have.
    """
    name = "cslr_images_bundle"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, PROGRAM)
        assert spec
        assert spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def run_program(arguments: list[str]) -> int:
    """Run make_bundle.py with `verify PATH` or `diff ONE OTHER`, and return its exit status."""
    status: int = _load_program().main(arguments)
    return status


def read_manifest(folder: Path) -> Any:
    """Read a bundle's manifest.

    Raises:
        EngineError: The folder is not a bundle, or its manifest is damaged.
    """
    program = _load_program()
    try:
        return program.manifest_of(folder)
    except program.BundleError as error:
        raise EngineError(str(error)) from None


# -- write a bundle ----------------------------------------------------------------------------------------


def parse_arguments(arguments: list[str]) -> tuple[Path, list[str], list[str]]:
    """Split the arguments of `daggerw bundle`: the target, the call's options, the filters.

    Raises:
        EngineError: The target is missing.
    """
    if not arguments or arguments[0].startswith("-"):
        raise EngineError(USAGE)
    target, rest = Path(arguments[0]), arguments[1:]
    call, filters = (rest[: rest.index("--")], rest[rest.index("--") + 1 :]) if "--" in rest else ([], rest)
    return target, call, filters


def make_staging_folder(target: Path) -> Path:
    """Return the staging folder beside a bundle, and create the folder that contains both.

    Raises:
        EngineError: The target has files in it and is not a bundle.
    """
    if target.exists() and any(target.iterdir()):
        read_manifest(target)  # overwrite only a bundle
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.partial")


def add_engine(folder: Path, paths: Paths, commands: Commands) -> None:
    """Add the engine's parts to a bundle, and the Debian packages that its machine needs.

    Raises:
        EngineError: The engine in use was itself set up from a bundle.
    """
    program, top = _load_program(), f"engine/{compute_source_digest()}"
    record = json.loads(paths.record.read_text())
    tools = Path(record["tools"])
    if tools.name == "tools-brought":
        raise EngineError("this engine came in a bundle itself: make the bundle where it was made")
    images = next(folder for folder in paths.parts.glob("images-*") if not folder.suffix)
    files = {
        f"{top}/{part.name.partition('-')[0]}/{path}": file
        for part in (tools, images)
        for path, file in program.files_below(part)
    }
    with TemporaryDirectory(dir=paths.run) as scratch:
        debs = Path(scratch) / "debs"
        debian.download_packages(commands, debs, next(paths.parts.glob("roots-*")) / "base")
        program.index_debs(debs)
        files |= {f"{top}/debs/{path}": file for path, file in program.files_below(debs)}
        program.add(folder, read_manifest(folder), [top], files)


def update_bundle(staging: Path, target: Path) -> str:
    """Move new files from the staging folder into the bundle; return a one-line description.

    Files that the bundle has already are kept; the manifest is written last.
    """
    program, manifest = _load_program(), read_manifest(staging)
    for entry in manifest.files:
        existing = target / entry.blob
        if (staging / entry.blob).is_file() and not (
            existing.is_file() and existing.stat().st_size == entry.size
        ):
            existing.parent.mkdir(parents=True, exist_ok=True)
            (staging / entry.blob).rename(existing)
    program.finish(target, manifest)
    shutil.rmtree(staging)
    return f"{target}: {program.describe(manifest)}"


# -- set up an engine from a bundle ------------------------------------------------------------------------


def has_engine(bundle: Path) -> bool:
    """Return whether a bundle includes an engine.

    Raises:
        EngineError: The bundle's engine is from another state of engine/.
    """
    sets = [name for name in read_manifest(bundle).sets if name.startswith("engine/")]
    if sets and f"engine/{compute_source_digest()}" not in sets:
        raise EngineError(
            f"the engine in {bundle} is of another state of engine/: use the checkout that the bundle was made with"
        )
    return bool(sets)


def find_bundled_parts(paths: Paths) -> tuple[Path, Path] | None:
    """Return the tools and images copied from a bundle, if they match this repository."""
    try:
        record = json.loads(paths.bundle_record.read_text())
    except (OSError, ValueError):
        return None
    folders = (paths.parts / "tools-brought", paths.parts / "images-brought")
    current = record == {"source": compute_source_digest()} and all(folder.is_dir() for folder in folders)
    return folders if current else None


def unpack_engine(bundle: Path, paths: Paths, commands: Commands) -> None:
    """Copy the engine's parts from a bundle and install its Debian packages, without a network.

    Raises:
        EngineError: A file of the bundle is missing or damaged.
    """
    top = f"engine/{compute_source_digest()}"
    warn(f"makes the embedded engine in {paths.cache} of the bundle {bundle}, once")
    paths.bundle_record.unlink(missing_ok=True)
    for part in ("tools", "images"):
        folder = paths.parts / f"{part}-brought"
        commands.run("rm", "--recursive", "--force", "--one-file-system", str(folder))
        _copy_files(bundle, f"{top}/{part}", folder)
    for tool in (paths.parts / "tools-brought").iterdir():
        tool.chmod(0o755)
    paths.run.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=paths.run) as scratch:
        debs = Path(scratch) / "debs"
        _copy_files(bundle, f"{top}/debs", debs)
        debian.ensure_packages(commands, debs)
    paths.bundle_record.write_text(json.dumps({"source": compute_source_digest()}))


def _copy_files(bundle: Path, top: str, folder: Path) -> None:
    """Copy the files below one path of a bundle to a folder, and check their SHA-256."""
    program = _load_program()
    entries = read_manifest(bundle).below(top)
    if not entries:
        raise EngineError(f"the bundle {bundle} has no {top}")
    for entry in entries:
        target = folder / entry.path.removeprefix(f"{top}/")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(bundle / entry.blob, target)
        except FileNotFoundError:
            raise EngineError(f"the bundle {bundle} lacks {entry.blob} ({entry.path})") from None
        if program.sha256_of(target) != entry.sha256:
            raise EngineError(f"the bundle {bundle} is damaged: {entry.blob} ({entry.path})")
