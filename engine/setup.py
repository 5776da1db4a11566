"""Build the engine's parts once, each in a folder named by the digest of its inputs."""

import fcntl
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine import bundle as bundle_module
from engine import debian, go_tools, images, offline, rootfs
from engine.output import EngineError, warn
from engine.paths import PartDigests, Paths
from engine.processes import Commands
from engine.progress import format_seconds

# Tools, roots and images need 3 GB, and Go's builds another 3 GB.
NEEDED_GB = 8
REMOVED = "removed-"  # begins the names of folders that are being removed
STEPS = {
    "tools": "downloads and builds dagger and its engine, two to five minutes",
    "roots": "makes the file systems of Debian images",
    "packages": "downloads Go modules and wheels",
    "images": "puts the images together",
}


@dataclass(frozen=True)
class Parts:
    """The folders of the parts that the engine runs with."""

    tools: Path
    images: Path

    @classmethod
    def of(cls, paths: Paths, digests: PartDigests) -> "Parts":
        """Return the folders for the given digests; they may not exist yet."""
        return cls(paths.parts / f"tools-{digests.tools}", paths.parts / f"images-{digests.images}")

    @property
    def complete(self) -> bool:
        """Return whether both parts are built."""
        return self.tools.exists() and self.images.exists()


@contextmanager
def exclusive_lock(paths: Paths) -> Iterator[None]:
    """Hold the lock of a cache folder: one daggerw at a time builds, starts or stops its engine."""
    paths.run.mkdir(parents=True, exist_ok=True)
    with paths.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            warn("waits for another daggerw that sets up the same cache folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_parts(paths: Paths, bundle: Path | None = None) -> Parts:
    """Build the parts that are missing, or copy them from a bundle; finished parts are kept.

    Raises:
        EngineError: The machine cannot run the engine, the disk is full, or a program failed.
    """
    commands = Commands(paths.setup_log)
    debian.check_machine()
    if bundle and bundle_module.has_engine(bundle) and not bundle_module.find_bundled_parts(paths):
        bundle_module.unpack_engine(bundle, paths, commands)
    if folders := bundle_module.find_bundled_parts(paths):
        return Parts(*folders)
    debian.ensure_packages(commands)
    digests = PartDigests(
        go_version=go_tools.check_go_version(), apt_sources=debian.read_package_sources(commands)
    )
    parts = Parts.of(paths, digests)
    roots = paths.parts / f"roots-{digests.roots}"
    if parts.complete:
        return parts
    _check_space(paths)
    warn(f"makes the embedded engine in {paths.cache}, once: some minutes (follow it in {commands.log})")
    packages = paths.parts / f"packages-{digests.packages}"

    def make_tools() -> None:
        _make_part(parts.tools, commands, lambda folder: go_tools.build_tools(folder, commands))

    def make_roots_and_packages() -> None:
        _make_part(roots, commands, lambda folder: rootfs.build_roots(folder, commands, digests.apt_sources))
        _make_part(
            packages, commands, lambda folder: offline.download_packages(folder, roots / "sdk", commands)
        )

    # The tools take all cores for minutes; what waits for downloads is done beside them.
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(make_tools), pool.submit(make_roots_and_packages)]
    for future in futures:
        future.result()
    _make_part(
        parts.images,
        commands,
        lambda folder: images.build_images(folder, roots, packages, parts.tools, commands),
    )
    remove_other_parts({parts.tools, parts.images, roots}, paths.parts)
    return parts


def _make_part(part: Path, commands: Commands, build: Callable[[Path], None]) -> None:
    """Build a part in a temporary folder, and rename that when it is complete."""
    if part.exists():
        return
    name, started = part.name.partition("-")[0], time.monotonic()
    warn(f"{name}: {STEPS[name]}")
    partial = part.with_suffix(".partial")
    _remove_folder(partial, commands)
    partial.mkdir(parents=True)
    build(partial)
    partial.rename(part)
    warn(f"{name}: done in {format_seconds(time.monotonic() - started)}")


def remove_other_parts(current: set[Path], parts: Path) -> None:
    """Start to remove the parts of earlier set-ups; nothing waits for it, as it takes a minute on a slow disk."""
    removed = set_aside(set(parts.iterdir()) - current, parts)
    in_background = 'rm --recursive --force --one-file-system "$1" >/dev/null 2>&1 &'
    subprocess.run(["sh", "-c", in_background, "sh", removed], check=True, stdin=subprocess.DEVNULL)


def set_aside(folders: Iterable[Path], place: Path) -> Path:
    """Move folders into a new one in `place`, which is to be removed: each is found whole or not at all."""
    removed = Path(tempfile.mkdtemp(prefix=REMOVED, dir=place))
    for folder in folders:
        folder.rename(removed / folder.name)
    return removed


def _remove_folder(folder: Path, commands: Commands) -> None:
    """Remove a folder, but nothing in file systems that an interrupted build left mounted."""
    commands.run("rm", "--recursive", "--force", "--one-file-system", str(folder))


def _check_space(paths: Paths) -> None:
    """Raise an EngineError if the disk has less than NEEDED_GB free."""
    free = shutil.disk_usage(paths.cache).free / 1e9
    if free < NEEDED_GB:
        raise EngineError(f"{paths.cache} has {free:.0f} GB free, the embedded engine needs {NEEDED_GB}")
