"""Make a small, working CUDA_HOME from what package registries hold.

The parts come from PyPI (the wheels behind `cuda-toolkit[...]==X`): headers, libcudart and, since CUDA 13, the
compiler. CUDA 12 wheels have no nvcc: `--compiler nvidia-cuda-toolkit=VERSION` takes it from a Debian package,
fetched with a private apt state from the container's own mirror, so that the container's apt is left as it was.
`--installed /usr/local/cuda` takes all from a toolkit that the image already has.

The big mathematical libraries are left out (their headers stay): an extension links against libcudart only, and
who needs -lcublas finds it in the Python environment's own nvidia folders. `version.json` says what each part is.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

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


class HomeError(Exception):
    """What the user is told, in one line."""


def run(command: Sequence[str | Path], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """The standard output of a command; its last words where it fails."""
    try:
        done = subprocess.run(
            [str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise HomeError(f"{command[0]}: no such program") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        print("\n".join(words[-30:]), file=sys.stderr)
        raise HomeError(f"{' '.join(str(word) for word in command[:3])} ...: exit status {done.returncode}")
    return done.stdout


def log(text: str) -> None:
    print(f"cuda_home: {text}", flush=True)


def size(folder: Path) -> int:
    """Bytes of the files in a folder; a link counts as itself."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or path.is_file())


# ---- parts ---------------------------------------------------------------------------------------------------------


def install_wheels(requirements: Sequence[str], files: Sequence[Path], target: Path) -> None:
    """The wheels, unpacked into a folder by uv, or by pip where there is no uv."""
    words = [*requirements, *(word for file in files for word in ("-r", str(file)))]
    beside = Path(sys.executable).with_name("uv")  # a virtual environment's bin folder need not be on PATH
    program = shutil.which(beside) or shutil.which("uv")
    if program:
        uv = [program, "pip", "install", "--no-cache", "--python", sys.executable]
        run([*uv, "--target", str(target), *words])
    else:
        run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--no-cache-dir",
                "--no-compile",
                "--target",
                str(target),
                *words,
            ]
        )


def distributions(parts: Path) -> dict[str, str]:
    """Name → version of every wheel in a folder."""
    found = {}
    for metadata in sorted(parts.glob("*.dist-info/METADATA")):
        head = HeaderParser().parsestr(metadata.read_text(encoding="utf-8"))
        found[str(head["Name"]).lower().replace("_", "-")] = str(head["Version"])
    return found


def kept(library: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(library, pattern) for pattern in patterns)


def merge_wheels(parts: Path, home: Path, keep: Sequence[str], compiler: bool) -> None:
    """Move the toolkit's folders of the unpacked wheels under one roof, without the libraries that nobody links here.

    CUDA 13 wheels share nvidia/cu13, CUDA 12 wheels have nvidia/<component> each.
    """
    components = [folder for folder in sorted((parts / "nvidia").glob("*")) if folder.is_dir()]
    if not components:
        raise HomeError(f"{parts}: no nvidia/* folder in these packages")
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
    """Move the children of a folder whose names match; folders that exist on both sides are merged."""
    target.mkdir(parents=True, exist_ok=True)
    for child in sorted(source.iterdir()):
        if child.name in ("__init__.py", "__pycache__") or not kept(child.name, keep):
            continue
        if child.is_dir() and not child.is_symlink():
            move_tree(child, target / child.name, ("*",))
        else:
            shutil.move(child, target / child.name)


def configured_mirror(targets: str, codename: str) -> str:
    """The archive that the container's own apt uses, from the output of `apt-get indextargets`."""
    rows = [line.split("|") for line in targets.splitlines() if line.count("|") == 2]
    for uri, release, component in rows:
        if release == codename and component == "main":
            return uri.rstrip("/")
    raise HomeError(f"no apt source for {codename} main: say where the archive is with --mirror")


def codename() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise HomeError("/etc/os-release names no VERSION_CODENAME: say where the archive is with --mirror")


def fetch_deb(package: str, suite: str, components: str, sha256: str, mirror: str, folder: Path) -> Path:
    """One .deb, with an apt state of its own; the container's sources, lists and status stay as they are."""
    if not mirror:
        targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"])
        mirror = configured_mirror(targets, codename())
    sources, status = folder / "sources.list", folder / "status"
    sources.write_text(f"deb {mirror} {suite} {components}\n", encoding="utf-8")
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
    run([*apt, "download", package], cwd=folder)
    found = sorted(folder.glob("*.deb"))
    if len(found) != 1:
        raise HomeError(f"{package}: apt-get download left {len(found)} packages")
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != sha256:
        raise HomeError(f"{found[0].name}: sha256 is {digest}, expected {sha256}")
    return found[0]


def take_compiler(unpacked: Path, home: Path, tools: Sequence[str]) -> None:
    """nvcc and its helpers out of Debian's nvidia-cuda-toolkit, laid out as NVIDIA lays them out."""
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
            raise HomeError(f"the Debian package has no {source.relative_to(unpacked)}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
    (home / "bin/nvcc.profile").write_text(NVCC_PROFILE, encoding="utf-8")
    licence = unpacked / "usr/share/doc/nvidia-cuda-toolkit/copyright"
    if licence.exists():
        (home / "licenses").mkdir(exist_ok=True)
        shutil.copyfile(licence, home / "licenses/nvidia-cuda-toolkit.txt")


def take_installed(installed: Path, home: Path, keep: Sequence[str], tools: Sequence[str]) -> None:
    """Copy the same parts out of a toolkit that NVIDIA's image has, whose headers may lie under targets/."""
    targets = installed / "targets/x86_64-linux"
    root = targets if targets.is_dir() else installed
    lib = next((folder for name in ("lib", "lib64") if (folder := root / name).is_dir()), root / "lib")
    for folder in (installed / "bin/nvcc", root / "include", lib):
        if not folder.exists():
            raise HomeError(f"{installed}: not a CUDA toolkit, it has no {folder.name}")
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
        if kept(path.name, keep):
            copy(path, home / "lib" / path.name)
    for path in (installed / "version.json", *installed.glob("EULA*")):
        if path.exists():
            copy(path, home / path.name)


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder; a link to a neighbour stays a link, any other becomes what it leads to."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() and "/" not in str(source.readlink()):
        target.symlink_to(source.readlink())
    elif source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


# ---- finish --------------------------------------------------------------------------------------------------------


def link_libraries(home: Path) -> None:
    """lib64, the unversioned names that -l looks for, and what plain nvcc links by default."""
    lib = home / "lib"
    if not (home / "lib64").exists():
        (home / "lib64").symlink_to("lib")
    for library in sorted(lib.glob("*.so.*")):
        short = lib / (library.name.partition(".so.")[0] + ".so")
        if not short.exists():
            short.symlink_to(library.name)
    # CUDA 12 wheels have neither of the two.  The linker reads a text file as a script: the shared runtime stands in.
    if not (lib / "libcudart_static.a").exists():
        (lib / "libcudart_static.a").write_text(
            "/* no static runtime here */\nINPUT(-lcudart)\n", encoding="ascii"
        )
    if not (lib / "libcudadevrt.a").exists():
        (lib / "libcudadevrt.a").write_bytes(b"!<arch>\n")  # an archive with nothing in it


def driver_functions(preprocessed: str) -> list[str]:
    """The names of the driver's functions that a preprocessed cuda.h declares."""
    return sorted(set(re.findall(r"\bCUresult\s+(cu[A-Z]\w*)\s*\(", preprocessed)))


def make_driver_stub(home: Path) -> None:
    """Make lib/stubs/libcuda.so: -lcuda links without a driver. It is never loaded, its soname is libcuda.so.1."""
    header = home / "include/cuda.h"
    if not header.exists() or (home / "lib/stubs/libcuda.so").exists():
        return
    names = driver_functions(run(["gcc", "-E", "-P", "-I", home / "include", header]))
    if not names:
        raise HomeError(f"{header}: no driver function found")
    (home / "lib/stubs").mkdir(exist_ok=True)
    source = home / "lib/stubs/libcuda.c"
    source.write_text("".join(f"int {name}(void) {{ return 34; }}\n" for name in names), encoding="ascii")
    flags = ["-shared", "-fPIC", "-s", "-Wl,-soname,libcuda.so.1"]  # 34 = CUDA_ERROR_STUB_LIBRARY
    run(["gcc", *flags, "-o", home / "lib/stubs/libcuda.so", source])
    source.unlink()


def check_links(home: Path) -> None:
    """A tree that is copied to another image may not point outside itself."""
    root = home.resolve()
    for path in sorted(home.rglob("*")):
        if path.is_symlink() and root not in (path.parent / path.readlink()).resolve().parents:
            raise HomeError(f"{path}: the link leaves the tree")


def compiler_version(home: Path) -> str:
    text = run([home / "bin/nvcc", "--version"])
    found = re.search(r"\bV(\d+\.\d+\.\d+)", text)
    if not found:
        raise HomeError(f"{home}/bin/nvcc --version: no version in what it says")
    return found.group(1)


def version_file(
    home: Path, wheels: dict[str, str], compiler: str, package: str
) -> dict[str, dict[str, str]]:
    """NVIDIA's version.json: the toolkit's version, and each component's; the compiler's is what nvcc says itself."""
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
    """Compile and link a program that includes what torch's extensions include; it must run without a GPU."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "check.cu"), Path(folder, "check")
        source.write_text(CHECK_SOURCE, encoding="ascii")
        env = {key: value for key, value in os.environ.items() if not key.startswith("NVCC_")}
        run([home / "bin/nvcc", "-std=c++17", "-o", program, source], cwd=Path(folder), env=env)
        run([program], env={**env, "LD_LIBRARY_PATH": str(home / "lib")})
    log("checked: a program with thrust, cub and the mathematical headers compiles, links and runs")


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path, help="the CUDA_HOME to make; must not exist or be empty")
    parser.add_argument(
        "--require",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="requirements file; hashes in it are checked",
    )
    parser.add_argument(
        "--requirement", action="append", default=[], metavar="SPEC", help="e.g. cuda-toolkit[nvcc]==X"
    )
    parser.add_argument(
        "--parts", type=Path, help="a folder with the wheels already unpacked (it is emptied by moves)"
    )
    parser.add_argument("--installed", type=Path, metavar="DIR", help="take all parts from this toolkit")
    parser.add_argument(
        "--keep", action="append", default=[], metavar="GLOB", help="one more library to keep in lib/"
    )
    debian = parser.add_argument_group("the compiler from Debian (CUDA 12)")
    debian.add_argument(
        "--compiler", default="", metavar="PACKAGE=VERSION", help="take nvcc from this Debian package"
    )
    debian.add_argument("--sha256", default="", help="of the .deb")
    debian.add_argument("--suite", default="", help="the Debian release that has it")
    debian.add_argument("--components", default="non-free", help="of the archive (default: %(default)s)")
    debian.add_argument(
        "--mirror", default="", help="the archive's address (default: that of the container's own apt)"
    )
    debian.add_argument("--fetch", action="store_true", help="only download the .deb, into the folder HOME")
    debian.add_argument("--deb", type=Path, help="the .deb itself, already there")
    parser.add_argument(
        "--with-binary-tools", action="store_true", help=f"keep {', '.join(BINARY_TOOLS)} too"
    )
    parser.add_argument(
        "--check", action="store_true", help="compile and link a small program with the result"
    )
    options = parser.parse_args(words)
    given = bool(options.require or options.requirement or options.parts)
    if given == bool(options.installed) and not options.fetch:
        parser.error("give the parts: either --require, --requirement or --parts, or --installed")
    if options.compiler and not options.deb and not (options.sha256 and options.suite):
        parser.error("--compiler needs --suite and --sha256")
    return options


def make(options: argparse.Namespace) -> None:
    home: Path = options.home
    if home.is_symlink() or (home.exists() and (not home.is_dir() or any(home.iterdir()))):
        raise HomeError(f"{home}: already there")
    home.parent.mkdir(parents=True, exist_ok=True)
    if options.fetch:
        fetch(options, home)
        return
    # Beside the result: moves are renames.
    with tempfile.TemporaryDirectory(prefix=".cuda_home.", dir=home.parent) as scratch:
        new = Path(scratch, "home")
        new.mkdir(mode=0o755)
        keep = (*KEPT_LIBRARIES, *options.keep)
        tools = (*COMPILER_TOOLS, *BINARY_TOOLS) if options.with_binary_tools else COMPILER_TOOLS
        wheels: dict[str, str] = {}
        if options.installed:
            take_installed(options.installed, new, keep, tools)
        else:
            wheels = take_wheels(options, new, keep, Path(scratch, "parts"))
        if options.compiler or options.deb:
            take_compiler(unpacked_deb(options, Path(scratch, "deb")), new, tools)
        elif not (new / "bin/nvcc").exists():
            raise HomeError(
                "no nvcc in these packages (CUDA 12 wheels have none): take it from Debian with --compiler"
            )
        if not (new / "lib").is_dir():
            raise HomeError("no lib folder in these packages: cudart is missing")
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
    log(f"{home}: {size(home) / 1e6:.0f} MB, CUDA {cuda}, nvcc {nvcc}")


def fetch(options: argparse.Namespace, folder: Path) -> None:
    """Download the compiler's package into a folder, and make nothing of it."""
    with tempfile.TemporaryDirectory() as scratch:
        deb = fetch_deb(
            options.compiler,
            options.suite,
            options.components,
            options.sha256,
            options.mirror,
            Path(scratch),
        )
        folder.mkdir(exist_ok=True)
        shutil.move(deb, folder / deb.name)


def take_wheels(options: argparse.Namespace, home: Path, keep: Sequence[str], parts: Path) -> dict[str, str]:
    """The toolkit's folders out of the wheels; the wheels' names and versions."""
    parts = options.parts or parts
    if options.require or options.requirement:
        install_wheels(options.requirement, options.require, parts)
    wheels = distributions(parts)
    log(f"{len(wheels)} packages, {size(parts) / 1e6:.0f} MB")
    merge_wheels(parts, home, keep, compiler=not (options.compiler or options.deb))
    for tool in () if options.with_binary_tools else BINARY_TOOLS:
        (home / "bin" / tool).unlink(missing_ok=True)
    return wheels


def unpacked_deb(options: argparse.Namespace, folder: Path) -> Path:
    """The folder with the Debian package's files."""
    deb = options.deb
    if deb is None:
        apt = folder.with_name("apt")
        apt.mkdir()
        deb = fetch_deb(
            options.compiler, options.suite, options.components, options.sha256, options.mirror, apt
        )
    run(["dpkg-deb", "-x", deb, folder])
    return folder


def main(words: Sequence[str] | None = None) -> int:
    options = parse(words)
    try:
        make(options)
    except (HomeError, OSError) as error:
        print(f"cuda_home: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
