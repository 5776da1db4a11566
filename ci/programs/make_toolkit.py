"""Make a small, working CUDA_HOME from packages.

    make_toolkit.py HOME --require FILE | --requirement SPEC | --parts DIR | --installed DIR [--check]

The parts come from PyPI (the wheels that `cuda-toolkit[...]==X` requires): headers, libcudart and, since CUDA 13, the
compiler. CUDA 12 wheels have no nvcc: `--compiler nvidia-cuda-toolkit=VERSION` takes it from a Debian package, which is
downloaded with an apt state of its own from the container's mirror, so that the container's apt stays as it was.
`--installed /usr/local/cuda` takes all parts from a toolkit that the image already has.

The large mathematical libraries are left out (their headers stay): an extension links against libcudart only, and
-lcublas and the like are in the nvidia folders of the Python environment. `version.json` lists the parts' versions.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

from common.commands import run
from common.errors import UserError, run_main
from common.files import sha256_of
from common.pip import explain_pip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KEPT_LIBRARIES = ("libcudart.so*", "libcudart_static.a", "libcudadevrt.a", "cmake")
COMPILER_TOOLS = ("__nvcc_device_query", "bin2c", "cudafe++", "fatbinary", "nvlink", "ptxas")
BINARY_TOOLS = ("cuobjdump", "nvdisasm", "nvprune", "cu++filt")

# The profile of a toolkit whose folders are bin, nvvm, include and lib, all under one roof.
NVCC_PROFILE = """\
TOP              = $(_HERE_)/..

CICC_PATH        = $(TOP)/nvvm/bin
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice

LD_LIBRARY_PATH += $(TOP)/lib:
PATH            += $(CICC_PATH):$(_HERE_):

INCLUDES        +=  "-I$(TOP)/include" $(_SPACE_)

LIBRARIES       =+ $(_SPACE_) "-L$(TOP)/lib/stubs" "-L$(TOP)/lib"

CUDAFE_FLAGS    +=
PTXAS_FLAGS     +=
"""

CHECK_SOURCE = """\
#include <cublas_v2.h>
#include <cusolverDn.h>
#include <cusparse.h>
#include <nvtx3/nvToolsExt.h>
#include <cub/block/block_reduce.cuh>
#include <cuda/std/tuple>
#include <thrust/device_vector.h>
#include <thrust/functional.h>

__global__ void sum(const float *in, float *out) {
    typedef cub::BlockReduce<float, 64> Reduce;
    __shared__ typename Reduce::TempStorage scratch;
    float total = Reduce(scratch).Sum(in[threadIdx.x]);
    if (threadIdx.x == 0) *out = total;
}

int main() {
    int devices = 0;
    cudaGetDeviceCount(&devices);  // no GPU: an error code, not a crash
    if (devices > 0) sum<<<1, 64>>>(nullptr, nullptr);
    return 0;
}
"""


def log(text: str) -> None:
    """Print a line of progress."""
    print(f"make_toolkit: {text}", flush=True)


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder; a link counts as itself."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or path.is_file())


# --- parts ------------------------------------------------------------------------------------------------------


def install_wheels(requirements: Sequence[str], files: Sequence[Path], target: Path) -> None:
    """Unpack wheels into a folder by uv, or by pip if there is no uv."""
    words = [*requirements, *(word for file in files for word in ("-r", str(file)))]
    beside = Path(sys.executable).with_name("uv")  # a virtual environment's bin folder need not be on PATH
    program = shutil.which(beside) or shutil.which("uv")
    if program:
        uv = [program, "pip", "install", "--no-cache", "--python", sys.executable]
        run([*uv, "--target", str(target), *words])
    else:
        pip = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--no-compile"]
        with explain_pip() as logged:
            run([*pip, *logged, "--target", str(target), *words])


def distributions(parts: Path) -> dict[str, str]:
    """Return the version of each wheel that was unpacked into a folder, by its name."""
    found = {}
    for metadata in sorted(parts.glob("*.dist-info/METADATA")):
        head = HeaderParser().parsestr(metadata.read_text(encoding="utf-8"))
        found[str(head["Name"]).lower().replace("_", "-")] = str(head["Version"])
    return found


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a file name matches any of some globs."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def merge_wheels(parts: Path, home: Path, keep: Sequence[str], compiler: bool) -> None:
    """Move the toolkit's folders of the unpacked wheels into one tree, without the libraries that are not kept.

    CUDA 13 wheels share nvidia/cu13, CUDA 12 wheels have nvidia/<component> each.
    """
    components = [folder for folder in sorted((parts / "nvidia").glob("*")) if folder.is_dir()]
    if not components:
        raise UserError(f"{parts}: no nvidia/* folder in these packages")
    for component in components:
        for top in ("bin", "nvvm", "include", "lib"):
            if (component / top).is_dir() and (compiler or top in ("include", "lib")):
                move_tree(component / top, home / top, keep if top == "lib" else ("*",))
    for licence in sorted(parts.glob("*.dist-info/**/*[Ll][Ii][Cc][Ee][Nn][SsCc][Ee]*")):
        if licence.is_file():
            name = licence.relative_to(parts).parts[0].removesuffix(".dist-info")
            target = home / "licenses" / f"{name}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(licence, target)


def move_tree(source: Path, target: Path, keep: Sequence[str]) -> None:
    """Move the children of a folder whose names match; merge folders that exist on both sides."""
    target.mkdir(parents=True, exist_ok=True)
    for child in sorted(source.iterdir()):
        if child.name in ("__init__.py", "__pycache__") or not matches(child.name, keep):
            continue
        if child.is_dir() and not child.is_symlink():
            move_tree(child, target / child.name, ("*",))
        else:
            shutil.move(child, target / child.name)


def configured_mirror(targets: str, codename: str) -> str:
    """Return the archive that the container's apt uses, from the output of `apt-get indextargets`."""
    rows = [line.split("|") for line in targets.splitlines() if line.count("|") == 2]
    for uri, release, component in rows:
        if release == codename and component == "main":
            return uri.rstrip("/")
    raise UserError(f"no apt source for {codename} main: say where the archive is with --mirror")


def codename() -> str:
    """Return the codename of the container's Debian release."""
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise UserError("/etc/os-release names no VERSION_CODENAME: say where the archive is with --mirror")


@dataclass(frozen=True)
class Deb:
    """A Debian package, NAME=VERSION, with the release that has it; no mirror means that of the container's apt."""

    package: str
    suite: str
    components: str
    sha256: str
    mirror: str


def fetch_deb(deb: Deb, folder: Path) -> Path:
    """Download a package with an apt state of its own; the container's sources, lists and status stay as they are."""
    mirror = deb.mirror
    if not mirror:
        targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"])
        mirror = configured_mirror(targets, codename())
    sources, status = folder / "sources.list", folder / "status"
    sources.write_text(f"deb {mirror} {deb.suite} {deb.components}\n", encoding="utf-8")
    status.touch()
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": status,
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    apt = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    run([*apt, "update"])
    run([*apt, "download", deb.package], cwd=folder)
    debs = sorted(folder.glob("*.deb"))
    if len(debs) != 1:
        raise UserError(f"{deb.package}: apt-get download left {len(debs)} packages")
    digest = sha256_of(debs[0])
    if digest != deb.sha256:
        raise UserError(f"{debs[0].name}: sha256 is {digest}, expected {deb.sha256}")
    return debs[0]


def take_compiler(unpacked: Path, home: Path, tools: Sequence[str]) -> None:
    """Move nvcc and its helpers out of Debian's nvidia-cuda-toolkit, to where NVIDIA has them."""
    private, public = unpacked / "usr/lib/nvidia-cuda-toolkit", unpacked / "usr/bin"
    pairs = {
        private / "bin/nvcc": home / "bin/nvcc",  # the real one: it reads the nvcc.profile beside it
        private / "bin/cicc": home / "nvvm/bin/cicc",
        private / "libdevice": home / "nvvm/libdevice",
        private / "bin/crt": home / "bin/crt",
        **{public / tool: home / "bin" / tool for tool in tools},
    }
    for source, target in pairs.items():
        if not source.exists():
            raise UserError(f"the Debian package has no {source.relative_to(unpacked)}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
    (home / "bin/nvcc.profile").write_text(NVCC_PROFILE, encoding="utf-8")
    licence = unpacked / "usr/share/doc/nvidia-cuda-toolkit/copyright"
    if licence.exists():
        (home / "licenses").mkdir(exist_ok=True)
        shutil.copyfile(licence, home / "licenses/nvidia-cuda-toolkit.txt")


def take_installed(installed: Path, home: Path, keep: Sequence[str], tools: Sequence[str]) -> None:
    """Copy the same parts out of a toolkit that NVIDIA's image has; its headers may be under targets/."""
    targets = installed / "targets/x86_64-linux"
    root = targets if targets.is_dir() else installed
    lib = next((folder for name in ("lib", "lib64") if (folder := root / name).is_dir()), root / "lib")
    for folder in (installed / "bin/nvcc", root / "include", lib):
        if not folder.exists():
            raise UserError(f"{installed}: not a CUDA toolkit, it has no {folder.name}")
    for path in [
        *installed.glob("bin/*"),
        *installed.glob("nvvm/bin/*"),
        *installed.glob("nvvm/libdevice/*"),
    ]:
        if path.parent.parent.name == "nvvm" or path.name in ("nvcc", "nvcc.profile", "crt", *tools):
            copy(path, home / path.relative_to(installed))
    for path in root.glob("include/*"):
        copy(path, home / "include" / path.name)
    for path in lib.iterdir():
        if matches(path.name, keep):
            copy(path, home / "lib" / path.name)
    for path in (installed / "version.json", *installed.glob("EULA*")):
        if path.exists():
            copy(path, home / path.name)


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder; a link to a sibling stays a link, any other becomes its target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() and "/" not in str(source.readlink()):
        target.symlink_to(source.readlink())
    elif source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


# --- finish -----------------------------------------------------------------------------------------------------


def link_libraries(home: Path) -> None:
    """Add lib64, the unversioned names that -l looks for, and the libraries that nvcc links by default."""
    lib = home / "lib"
    if not (home / "lib64").exists():
        (home / "lib64").symlink_to("lib")
    for library in sorted(lib.glob("*.so.*")):
        short = lib / (library.name.partition(".so.")[0] + ".so")
        if not short.exists():
            short.symlink_to(library.name)
    # CUDA 12 wheels lack these two. The linker reads a text file as a script, which names the shared runtime instead.
    if not (lib / "libcudart_static.a").exists():
        (lib / "libcudart_static.a").write_text(
            "/* no static runtime here */\nINPUT(-lcudart)\n", encoding="ascii"
        )
    if not (lib / "libcudadevrt.a").exists():
        (lib / "libcudadevrt.a").write_bytes(b"!<arch>\n")  # an archive with nothing in it


def driver_functions(preprocessed: str) -> list[str]:
    """Return the names of the driver's functions that a preprocessed cuda.h declares."""
    return sorted(set(re.findall(r"\bCUresult\s+(cu[A-Z]\w*)\s*\(", preprocessed)))


def make_driver_stub(home: Path) -> None:
    """Make lib/stubs/libcuda.so: -lcuda then links without a driver. Nobody loads it, its soname is libcuda.so.1."""
    header = home / "include/cuda.h"
    if not header.exists() or (home / "lib/stubs/libcuda.so").exists():
        return
    names = driver_functions(run(["gcc", "-E", "-P", "-I", home / "include", header]))
    if not names:
        raise UserError(f"{header}: no driver function found")
    (home / "lib/stubs").mkdir(exist_ok=True)
    source = home / "lib/stubs/libcuda.c"
    source.write_text("".join(f"int {name}(void) {{ return 34; }}\n" for name in names), encoding="ascii")
    flags = ["-shared", "-fPIC", "-s", "-Wl,-soname,libcuda.so.1"]  # 34 = CUDA_ERROR_STUB_LIBRARY
    run(["gcc", *flags, "-o", home / "lib/stubs/libcuda.so", source])
    source.unlink()


def check_links(home: Path) -> None:
    """Refuse links that leave the tree, because it is copied to another image."""
    root = home.resolve()
    for path in sorted(home.rglob("*")):
        if path.is_symlink() and root not in (path.parent / path.readlink()).resolve().parents:
            raise UserError(f"{path}: the link leaves the tree")


def compiler_version(home: Path) -> str:
    """Return the version that nvcc prints."""
    text = run([home / "bin/nvcc", "--version"])
    found = re.search(r"\bV(\d+\.\d+\.\d+)", text)
    if not found:
        raise UserError(f"{home}/bin/nvcc --version: no version in its output")
    return found.group(1)


def version_file(
    home: Path, wheels: dict[str, str], compiler: str, package: str
) -> dict[str, dict[str, str]]:
    """Return NVIDIA's version.json: the versions of the toolkit and of its components; nvcc's is the one it prints."""
    given = home / "version.json"
    versions: dict[str, dict[str, str]] = (
        json.loads(given.read_text(encoding="utf-8")) if given.exists() else {}
    )
    if "cuda" not in versions:
        version = wheels.get("cuda-toolkit") or os.environ.get("CUDA_VERSION") or compiler
        versions["cuda"] = {"name": "CUDA SDK", "version": version}
    for name, version in sorted(wheels.items()):
        plain = re.sub(r"-cu\d+$", "", name)
        if plain.startswith("nvidia-"):
            versions[plain.removeprefix("nvidia-").replace("-", "_")] = {"name": name, "version": version}
    if package and "cuda_nvcc" in versions:
        versions["cuda_nvcc_headers"] = versions["cuda_nvcc"]
    versions["cuda_nvcc"] = {"name": package or "nvidia-cuda-nvcc", "version": compiler}
    return versions


def check(home: Path) -> None:
    """Compile, link and run a program with the headers that torch's extensions include; it needs no GPU."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "check.cu"), Path(folder, "check")
        source.write_text(CHECK_SOURCE, encoding="ascii")
        env = {key: value for key, value in os.environ.items() if not key.startswith("NVCC_")}
        run([home / "bin/nvcc", "-std=c++17", "-o", program, source], cwd=Path(folder), env=env)
        run([program], env={**env, "LD_LIBRARY_PATH": str(home / "lib")})
    log("checked: a program with thrust, cub and the mathematical headers compiles, links and runs")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="make_toolkit.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path, help="the CUDA_HOME to make; must not exist or be empty")
    add = parser.add_argument
    add("--require", type=Path, action="append", default=[], metavar="FILE",
        help="requirements file; hashes in it are checked")  # fmt: skip
    add("--requirement", action="append", default=[], metavar="SPEC", help="e.g. cuda-toolkit[nvcc]==X")
    add("--parts", type=Path, help="a folder with the wheels already unpacked (its files are moved away)")
    add("--installed", type=Path, metavar="DIR", help="take all parts from this toolkit")
    add("--keep", action="append", default=[], metavar="GLOB", help="one more library to keep in lib/")
    add_debian_options(parser)
    add("--with-binary-tools", action="store_true", help=f"keep {', '.join(BINARY_TOOLS)} too")
    add("--check", action="store_true", help="compile and link a small program with the result")
    options = parser.parse_args(argv)
    given = bool(options.require or options.requirement or options.parts)
    if given == bool(options.installed) and not options.fetch:
        parser.error("give the parts: either --require, --requirement or --parts, or --installed")
    if options.compiler and not options.deb and not (options.sha256 and options.suite):
        parser.error("--compiler needs --suite and --sha256")
    return options


def add_debian_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the compiler's package."""
    add = parser.add_argument_group("the compiler from Debian (CUDA 12)").add_argument
    add("--compiler", default="", metavar="PACKAGE=VERSION", help="take nvcc from this Debian package")
    add("--sha256", default="", help="of the .deb")
    add("--suite", default="", help="the Debian release that has it")
    add("--components", default="non-free", help="of the archive (default: %(default)s)")
    add("--mirror", default="", help="the archive's address (default: that of the container's own apt)")
    add("--fetch", action="store_true", help="only download the .deb, into the folder HOME")
    add("--deb", type=Path, help="the .deb itself, already there")


def deb_of(options: argparse.Namespace) -> Deb:
    """Return the compiler's package."""
    return Deb(options.compiler, options.suite, options.components, options.sha256, options.mirror)


def make(options: argparse.Namespace) -> None:
    """Make the toolkit beside HOME, then move it there; or only download the compiler's package."""
    home: Path = options.home
    if home.is_symlink() or (home.exists() and (not home.is_dir() or any(home.iterdir()))):
        raise UserError(f"{home}: already there")
    home.parent.mkdir(parents=True, exist_ok=True)
    if options.fetch:
        fetch(deb_of(options), home)
        return
    # Beside the result, so that moves are renames.
    with tempfile.TemporaryDirectory(prefix=".make_toolkit.", dir=home.parent) as scratch:
        new = Path(scratch, "home")
        new.mkdir(mode=0o755)
        wheels = take_parts(options, new, Path(scratch))
        link_libraries(new)
        make_driver_stub(new)
        check_links(new)
        package = options.compiler.replace("=", " ", 1) or (options.deb.name if options.deb else "")
        versions = version_file(new, wheels, compiler_version(new), package)
        (new / "version.json").write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")
        if options.check:
            check(new)
        if home.exists():
            home.rmdir()
        new.rename(home)
    cuda, nvcc = versions["cuda"]["version"], versions["cuda_nvcc"]["version"]
    log(f"{home}: {size_of(home) / 1e6:.0f} MB, CUDA {cuda}, nvcc {nvcc}")


def take_parts(options: argparse.Namespace, home: Path, scratch: Path) -> dict[str, str]:
    """Put all parts into the toolkit; return the versions of its wheels by name."""
    keep = (*KEPT_LIBRARIES, *options.keep)
    tools = (*COMPILER_TOOLS, *BINARY_TOOLS) if options.with_binary_tools else COMPILER_TOOLS
    wheels: dict[str, str] = {}
    if options.installed:
        take_installed(options.installed, home, keep, tools)
    else:
        wheels = take_wheels(options, home, keep, scratch / "parts")
    if options.compiler or options.deb:
        take_compiler(unpack_deb(options, scratch / "deb"), home, tools)
    elif not (home / "bin/nvcc").exists():
        raise UserError(
            "no nvcc in these packages (CUDA 12 wheels have none): take it from Debian with --compiler"
        )
    if not (home / "lib").is_dir():
        raise UserError("no lib folder in these packages: cudart is missing")
    return wheels


def fetch(deb: Deb, folder: Path) -> None:
    """Download the compiler's package into a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        path = fetch_deb(deb, Path(scratch))
        folder.mkdir(exist_ok=True)
        shutil.move(path, folder / path.name)


def take_wheels(options: argparse.Namespace, home: Path, keep: Sequence[str], parts: Path) -> dict[str, str]:
    """Move the toolkit's folders out of the wheels; return the wheels' versions by name."""
    parts = options.parts or parts
    if options.require or options.requirement:
        install_wheels(options.requirement, options.require, parts)
    wheels = distributions(parts)
    log(f"{len(wheels)} packages, {size_of(parts) / 1e6:.0f} MB")
    merge_wheels(parts, home, keep, compiler=not (options.compiler or options.deb))
    for tool in () if options.with_binary_tools else BINARY_TOOLS:
        (home / "bin" / tool).unlink(missing_ok=True)
    return wheels


def unpack_deb(options: argparse.Namespace, folder: Path) -> Path:
    """Unpack the compiler's package, which is downloaded unless it was given; return the folder."""
    deb = options.deb
    if deb is None:
        apt = folder.with_name("apt")
        apt.mkdir()
        deb = fetch_deb(deb_of(options), apt)
    run(["dpkg-deb", "-x", deb, folder])
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    """Make a toolkit; return the exit status."""
    options = parse(argv)
    return run_main("make_toolkit.py", lambda: make(options))


if __name__ == "__main__":
    sys.exit(main())
