"""Download the Python packages of an installation: as locked, else as uv resolves them for this environment.

    collect_packages.py OUT --requirements FILE --python PYTHON --uv UV --cache DIR --pins FILE [--hashed] [--frozen]

For a source archive among them, the requirements of its build are downloaded too, so that it can be built without a
network. Needs: uv, and pip in the Python that the packages are for.
"""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from common.commands import run
from common.errors import run_main
from common.pip import explain_pip

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==[^\s\\;]+")
# The build requirements of a source archive that states none (PEP 517).
_DEFAULT_BACKEND = ("setuptools>=40.8.0", "wheel")


def read_pins(text: str) -> list[str]:
    """Return the versions that a requirements text pins, without hashes."""
    return [match[0] for line in text.splitlines() if (match := _PIN.match(line))]


class Collector:
    """Download packages into a folder, for one Python."""

    def __init__(self, options: argparse.Namespace, scratch: Path) -> None:
        self.python: Path = options.python
        self.out: Path = options.out
        self.uv: Path = options.uv
        self.cache: Path = options.cache
        self.index: str = options.index
        self.scratch = scratch

    def resolve(self, requirements: Path, constraints: Sequence[Path]) -> str:
        """Resolve requirements by uv; return the pins."""
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
        return run([*command, requirements])

    def download(self, requirements: Path, *, hashed: bool = False) -> None:
        """Download exactly the listed packages by pip, whose cache keeps those of an interrupted run."""
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
        with explain_pip() as logged:
            run([*command, *logged, *(["--extra-index-url", self.index] if self.index else [])])

    def download_build_requirements(self) -> None:
        """Download the build requirements of the source archives in the folder."""
        for archive in sorted(self.out.iterdir()):
            if requirements := build_requirements(archive):
                lines = self.write("build.in", "".join(f"{line}\n" for line in requirements))
                self.download(self.write("build.txt", self.resolve(lines, ())))

    def write(self, name: str, text: str) -> Path:
        """Write a file for uv or pip."""
        path = self.scratch / name
        path.write_text(text, "utf-8")
        return path


def build_requirements(archive: Path) -> tuple[str, ...]:
    """Return the build requirements of a source archive; none for a wheel."""
    if archive.suffix == ".whl":
        return ()
    text = _read_member(archive, "pyproject.toml")
    requires = tomllib.loads(text).get("build-system", {}).get("requires") if text else None
    return tuple(requires) if requires is not None else _DEFAULT_BACKEND


def _read_member(archive: Path, name: str) -> str:
    """Return the text of a file in the top folder of an archive, empty if there is none."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as whole:
            paths = [path for path in whole.namelist() if path.count("/") == 1 and path.endswith(f"/{name}")]
            return whole.read(paths[0]).decode() if paths else ""
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


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="the folder for the packages")
    parser.add_argument("--requirements", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True, help="the Python that they are for, with pip")
    parser.add_argument("--uv", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="pip's cache")
    parser.add_argument("--hashed", action="store_true", help="the requirements are a lock with hashes")
    parser.add_argument("--frozen", action="store_true", help="keep the versions that are installed")
    parser.add_argument("--constraint", type=Path, action="append", default=[], help="pins to respect")
    parser.add_argument("--index", default="", help="an additional index")
    parser.add_argument(
        "--pins", type=Path, required=True, help="file to which the chosen versions are written"
    )
    return parser.parse_args(argv)


def collect(options: argparse.Namespace, scratch: Path) -> None:
    """Resolve, download, and write the pins."""
    collector = Collector(options, scratch)
    options.out.mkdir(parents=True, exist_ok=True)
    listed: Path = options.requirements
    if not options.hashed:
        constraints = list(options.constraint)
        if options.frozen:
            installed = run([options.uv, "pip", "freeze", "--quiet", "--python", options.python])
            constraints.append(collector.write("installed.txt", "\n".join(read_pins(installed)) + "\n"))
        listed = collector.write("resolved.txt", collector.resolve(listed, constraints))
    collector.download(listed, hashed=options.hashed)
    collector.download_build_requirements()
    options.pins.write_text("\n".join(read_pins(listed.read_text("utf-8"))) + "\n", "utf-8")


def work(options: argparse.Namespace) -> None:
    """Collect, with a folder for temporary files."""
    with tempfile.TemporaryDirectory() as scratch:
        collect(options, Path(scratch))


def main(argv: Sequence[str] | None = None) -> int:
    """Download an installation's packages; return the exit status."""
    options = parse(argv)
    return run_main(
        "collect_packages.py",
        lambda: work(options),
        *(tomllib.TOMLDecodeError, tarfile.TarError, zipfile.BadZipFile),
    )


if __name__ == "__main__":
    sys.exit(main())
