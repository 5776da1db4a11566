"""Makes what the engine is built from, once: each part in a folder named by the digest of its inputs."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine import bundles, debian, images, roots, tools
from engine.commands import Commands
from engine.places import Marks, Places
from engine.talk import TroubleError, say

# Tools, roots and images take 3 GB, and the builds of Go as much again.
NEEDED_GB = 8


@dataclass(frozen=True)
class Parts:
    tools: Path
    images: Path

    @classmethod
    def of(cls, places: Places, marks: Marks) -> "Parts":
        return cls(places.parts / f"tools-{marks.tools}", places.parts / f"images-{marks.images}")

    @property
    def complete(self) -> bool:
        return self.tools.exists() and self.images.exists()


@contextmanager
def locked(places: Places) -> Iterator[None]:
    """Only one daggerw at a time makes, starts or stops the engine of a cache folder."""
    places.run.mkdir(parents=True, exist_ok=True)
    with places.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waits for another daggerw that sets up the same cache folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(places: Places, bundle: Path | None = None) -> Parts:
    """Makes the parts that are missing, or takes those of a bundle; what an interrupted set-up finished is kept."""
    commands = Commands(places.setup_log)
    debian.check_machine()
    if bundle and bundles.has_engine(bundle) and not bundles.brought(places):
        bundles.take_engine(bundle, places, commands)
    if folders := bundles.brought(places):
        return Parts(*folders)
    debian.ensure_packages(commands)
    marks = Marks(go_version=tools.go_version(), apt_sources=debian.package_sources(commands))
    parts = Parts.of(places, marks)
    made_roots = places.parts / f"roots-{marks.roots}"
    if parts.complete:
        return parts
    _check_space(places)
    say(f"makes the embedded engine in {places.cache}, once: some minutes (follow it in {commands.log})")
    with ThreadPoolExecutor() as pool:
        work = [
            pool.submit(_make, parts.tools, commands, lambda folder: tools.build(folder, commands)),
            pool.submit(
                _make, made_roots, commands, lambda folder: roots.build(folder, commands, marks.apt_sources)
            ),
        ]
    for part in work:
        part.result()
    _make(parts.images, commands, lambda folder: images.build(folder, made_roots, parts.tools, commands))
    _forget_others({parts.tools, parts.images, made_roots}, places, commands)
    return parts


def _make(part: Path, commands: Commands, build: Callable[[Path], None]) -> None:
    if part.exists():
        return
    partial = part.with_suffix(".partial")
    _remove(partial, commands)
    partial.mkdir(parents=True)
    build(partial)
    partial.rename(part)


def _forget_others(current: set[Path], places: Places, commands: Commands) -> None:
    for part in set(places.parts.iterdir()) - current:
        _remove(part, commands)


def _remove(folder: Path, commands: Commands) -> None:
    # A root that was being made when the machine went down may have mounts in it.
    commands.run("rm", "--recursive", "--force", "--one-file-system", str(folder))


def _check_space(places: Places) -> None:
    free = shutil.disk_usage(places.cache).free / 1e9
    if free < NEEDED_GB:
        raise TroubleError(f"{places.cache} has {free:.0f} GB free, the embedded engine needs {NEEDED_GB}")
