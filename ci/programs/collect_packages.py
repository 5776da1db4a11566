"""Download the Python packages that an installation takes: as locked, else as uv resolves them for this environment.

Of a source archive among them also what its build asks for, so that it can be built without a network.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==[^\s\\;]+")
# What pip takes where a source archive says nothing (PEP 517).
_USUAL = ("setuptools>=40.8.0", "wheel")


class CollectError(Exception):
    """What the user is told, in one line."""


def run(*command: str | Path) -> str:
    """The standard output of a command; its last words where it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        print("\n".join((done.stderr or done.stdout).strip().splitlines()[-30:]), file=sys.stderr)
        raise CollectError(f"{Path(command[0]).name} ended with exit status {done.returncode}")
    return done.stdout


def pins(text: str) -> list[str]:
    """The versions that a requirements text pins, without hashes."""
    return [found[0] for line in text.splitlines() if (found := _PIN.match(line))]


class Collector:
    """Downloads into a folder for one Python."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.python: Path = options.python
        self.out: Path = options.out
        self.uv: Path = options.uv
        self.cache: Path = options.cache
        self.index: str = options.index
        self.scratch = scratch

    def resolve(self, requirements: Path, constraints: Sequence[Path]) -> str:
        """What uv takes for requirements, as pins."""
        command: list[str | Path] = [
            self.uv,
            "pip",
            "compile",
            "--quiet",
            "--python",
            self.python,
            "--no-header",
        ]
        command += ["--no-annotate", *(word for file in constraints for word in ("--constraint", file))]
        if self.index:
            command += ["--index", self.index, "--index-strategy", "unsafe-best-match"]
        return run(*command, requirements)

    def download(self, requirements: Path, *, hashed: bool = False) -> None:
        """Exactly what is listed, by pip; its cache keeps what an interrupted run had."""
        command: list[str | Path] = [
            self.python,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        command += ["--cache-dir", self.cache, "--dest", self.out, "--requirement", requirements]
        command += ["--require-hashes"] if hashed else []
        run(*command, *(["--extra-index-url", self.index] if self.index else []))

    def complete(self) -> None:
        """What the source archives in the folder are built with."""
        for archive in sorted(self.out.iterdir()):
            if asked := build_requirements(archive):
                wanted = self.written("build.in", "".join(f"{line}\n" for line in asked))
                self.download(self.written("build.txt", self.resolve(wanted, ())))

    def written(self, name: str, text: str) -> Path:
        path = self.scratch / name
        path.write_text(text, "utf-8")
        return path


def build_requirements(archive: Path) -> tuple[str, ...]:
    """What a source archive needs to be built; nothing for a wheel."""
    if archive.suffix == ".whl":
        return ()
    text = _member(archive, "pyproject.toml")
    found = tomllib.loads(text).get("build-system", {}).get("requires") if text else None
    return tuple(found) if found is not None else _USUAL


def _member(archive: Path, name: str) -> str:
    """The text of a file in the top folder of an archive, empty where there is none."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as whole:
            found = [one for one in whole.namelist() if one.count("/") == 1 and one.endswith(f"/{name}")]
            return whole.read(found[0]).decode() if found else ""
    with tarfile.open(archive) as tar:
        for entry in tar:
            if (
                entry.isreg()
                and entry.name.removeprefix("./").count("/") == 1
                and entry.name.endswith(f"/{name}")
            ):
                file = tar.extractfile(entry)
                return file.read().decode() if file else ""
    return ""


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="the folder for the packages")
    parser.add_argument("--requirements", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True, help="the Python that they are for; it has pip")
    parser.add_argument("--uv", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="pip's cache")
    parser.add_argument("--hashed", action="store_true", help="the requirements are a lock with hashes")
    parser.add_argument("--frozen", action="store_true", help="what is installed stays as it is")
    parser.add_argument("--constraint", type=Path, action="append", default=[], help="pins to keep to")
    parser.add_argument("--index", default="", help="one more index, beside the usual one")
    parser.add_argument("--pins", type=Path, required=True, help="gets the versions that were taken")
    return parser.parse_args(words)


def collect(options: argparse.Namespace, scratch: Path) -> None:
    collector = Collector(options, scratch)
    options.out.mkdir(parents=True, exist_ok=True)
    listed: Path = options.requirements
    if not options.hashed:
        constraints = list(options.constraint)
        if options.frozen:
            installed = run(options.uv, "pip", "freeze", "--quiet", "--python", options.python)
            constraints.append(collector.written("installed.txt", "\n".join(pins(installed)) + "\n"))
        listed = collector.written("resolved.txt", collector.resolve(listed, constraints))
    collector.download(listed, hashed=options.hashed)
    collector.complete()
    options.pins.write_text("\n".join(pins(listed.read_text("utf-8"))) + "\n", "utf-8")


def main(words: Sequence[str] | None = None) -> int:
    options = parse(words)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            collect(options, Path(scratch))
    except (CollectError, OSError, tomllib.TOMLDecodeError, tarfile.TarError, zipfile.BadZipFile) as error:
        print(f"collect_packages: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
