"""Link CUDA's libraries and headers to where compilers look.

    name_libraries.py NVIDIA OUT --at PATH --base ROOT --home HOME

NVIDIA is the folder of what NVIDIA's wheels brought, PATH where an image has it, ROOT the file system of the image that
OUT is copied over, and HOME the CUDA toolkit in it. The wheels name a library by its version only and keep it where no
linker looks. So that `-lcublas`, `find_package(CUDAToolkit)` and `find_package(Torch)` work, OUT has links

- of both names of a library (`libcublas.so`, `libcublas.so.12`) in HOME/lib64, where CMake looks, and in Debian's
  folder of libraries, where the linker looks even without LIBRARY_PATH, and where the loader then finds it, and
- of each header that the toolkit lacks (cuDNN's, NCCL's) in HOME/include.

A name that ROOT has stays what it is. All links and folders get one time (SOURCE_DATE_EPOCH). Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path, PurePosixPath

from common.errors import UserError, run_main
from common.files import source_date_epoch
from common.trees import TreeWriter

SYSTEM = PurePosixPath("/usr/lib/x86_64-linux-gnu")
MAX_LINKS = 40  # as the kernel has it


def resolve(root: Path, path: PurePosixPath) -> PurePosixPath:
    """Return where a path of a file system leads, as seen from inside; it need not exist."""
    found, left, count = PurePosixPath("/"), list(path.parts[1:]), 0
    while left:
        part = left.pop(0)
        found = found.parent if part == ".." else found / part
        if (root / found.relative_to("/")).is_symlink():
            count += 1
            if count > MAX_LINKS:
                raise UserError(f"{path}: too many links")
            target = PurePosixPath((root / found.relative_to("/")).readlink())
            found = PurePosixPath("/") if target.is_absolute() else found.parent
            left = [*(part for part in target.parts if part != "/"), *left]
    return found


def plain_name(name: str) -> str:
    """Return the name by which the linker asks for a library.

    >>> plain_name("libcublas.so.12"), plain_name("libnvrtc-builtins.so.12.8")
    ('libcublas.so', 'libnvrtc-builtins.so')
    """
    return f"{name.partition('.so')[0]}.so"


def find_libraries(folder: Path) -> dict[str, str]:
    """Return the path below a folder that each name of a library is to lead to."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("lib*.so*")):
        if path.parent.name == "lib" and path.is_file():
            below = str(path.relative_to(folder))
            found[path.name] = below
            found.setdefault(plain_name(path.name), below)
    return found


def find_headers(folder: Path) -> dict[str, str]:
    """Return the path below a folder that each header, or folder of headers, is to lead to."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("include/*")):
        if path.parent.parent.parent == folder and path.name not in ("__init__.py", "__pycache__"):
            found.setdefault(path.name, str(path.relative_to(folder)))
    return found


def name_libraries(nvidia: Path, out: Path, at: str, base: Path, home: PurePosixPath) -> int:
    """Write the links; return how many there are."""
    lib, include = (resolve(base, home / name) for name in ("lib64", "include"))
    libraries = {name: f"{at}/{path}" for name, path in find_libraries(nvidia).items()}
    own = {path.name: f"{home}/lib64/{path.name}" for path in (base / lib.relative_to("/")).glob("lib*.so*")}
    wanted = {
        lib: libraries,
        include: {name: f"{at}/{path}" for name, path in find_headers(nvidia).items()},
        resolve(base, SYSTEM): libraries | own,
    }
    out.mkdir(parents=True)
    writer, status = TreeWriter(str(out), source_date_epoch()), nvidia.lstat()
    # Without a toolkit nothing compiles for GPUs: the check `cuda_link` says so.
    for folder, names in wanted.items() if (base / lib.relative_to("/")).is_dir() else ():
        for name, target in sorted(names.items()):
            place = folder.relative_to("/") / name
            if not os.path.lexists(base / place):
                writer.add_link(str(place), target, status)
    writer.finish()
    return writer.files


def main() -> int:
    """Write the links of the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("nvidia", type=Path, metavar="NVIDIA")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--at", required=True, metavar="PATH")
    parser.add_argument("--base", type=Path, required=True, metavar="ROOT")
    parser.add_argument("--home", type=PurePosixPath, required=True, metavar="HOME")
    options = parser.parse_args()
    os.umask(0o022)

    def work() -> None:
        count = name_libraries(options.nvidia, options.out, options.at, options.base, options.home)
        print(f"{options.out}: {count} links")

    return run_main("name_libraries.py", work)


if __name__ == "__main__":
    sys.exit(main())
