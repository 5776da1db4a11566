"""Set up the compilers' environment: variables, ccache in front of every compiler, and what nvcc knows."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import UserError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

_ZIP_EPOCH = "315532800"  # 1980-01-01, the first day that a zip archive can name


def write_script(path: Path, *lines: str) -> None:
    """Write an executable shell script."""
    path.unlink(missing_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")), encoding="utf-8")
    path.chmod(0o755)


def compiler_names() -> list[str]:
    """Return the names by which a build may call the host compiler: the usual ones and those of Python's own build."""
    names = {"gcc", "g++", "cc", "c++"}
    for variable in ("CC", "CXX", "LDSHARED", "LDCXXSHARED"):
        words = str(sysconfig.get_config_var(variable) or "").split()
        names.update(Path(word).name for word in words[:1])
    return sorted(names)


def compilers_digest(cuda_home: Path | None) -> str:
    """Return the compiler's identity for ccache: a digest of the programs that do the work, not only their drivers."""
    programs = [shutil.which("gcc"), shutil.which("g++")]
    if shutil.which("g++"):
        asked = subprocess.run(
            ["g++", "-print-prog-name=cc1plus"], capture_output=True, text=True, check=False
        )
        programs.append(asked.stdout.strip())
    if cuda_home:
        programs += [str(cuda_home / "bin" / name) for name in ("nvcc", "cudafe++", "ptxas", "fatbinary")]
        programs += [str(cuda_home / "nvvm/bin/cicc"), str(cuda_home / "nvvm/libdevice/libdevice.10.bc")]
    digest = hashlib.sha256()
    for program in programs:
        if program and Path(program).is_file():
            digest.update(hashlib.sha256(Path(program).read_bytes()).digest())
    return digest.hexdigest()


def write_host_wrappers(folder: Path, names: Iterable[str], ccache: str, path: str) -> None:
    """Write scripts that are named like the host compilers and call them through ccache.

    Names of one GCC (c++, g++) call it by its own: ccache hashes the name, and Pythons name it differently. Another
    compiler may do something else under another name, and ccache's own links do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if real := shutil.which(name, path=path):
            own = os.path.realpath(real)
            called = own if re.search(r"(gcc|g\+\+)(-\d+)?$", own) else real
            write_script(folder / name, f'exec "{ccache}" "{called}" "$@"')


def make_cuda_overlay(folder: Path, cuda_home: Path, ccache: str, path: str) -> None:
    """Make a CUDA_HOME whose nvcc goes through ccache; everything else is a link to the real one.

    nvcc gets the PATH without the host wrappers, or its own calls of gcc would be cached a second time. ccache does
    not know nvcc's long names for -MD and -MF and would not cache the object, so they are rewritten.
    """
    if folder.exists():
        shutil.rmtree(folder)
    (folder / "bin").mkdir(parents=True)
    for entry in cuda_home.iterdir():
        if entry.name != "bin":
            (folder / entry.name).symlink_to(entry)
    for entry in (cuda_home / "bin").iterdir():
        (folder / "bin" / entry.name).symlink_to(entry)
    write_script(
        folder / "bin/nvcc",
        f'PATH="{path}"',
        "export PATH",
        "for word do",
        "    shift",
        '    case "$word" in',
        "        --generate-dependencies-with-compile) word=-MD ;;",
        "        --dependency-output) word=-MF ;;",
        "    esac",
        '    set -- "$@" "$word"',
        "done",
        f'exec "{ccache}" "{cuda_home}/bin/nvcc" "$@"',
    )


def build_environment(options: argparse.Namespace, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of every build."""
    env = {
        name: value for name, value in base.items() if name not in ("CC", "CXX", "CUDA_PATH", "NVCC_FLAGS")
    }
    path, work = base.get("PATH", os.defpath), options.work
    env.setdefault("SOURCE_DATE_EPOCH", _ZIP_EPOCH)
    env.update(MAX_JOBS="1", TORCH_NO_COMPILER_WRAPPER="1", PYTHONDONTWRITEBYTECODE="1", PATH=path)
    for name in (
        "CFLAGS",
        "CXXFLAGS",
    ):  # Python's own contain -g: a third more time and memory, and the link drops it
        env[name] = f"{base.get(name, '')} -g0".strip()
    env.pop("FORCE_ONLY_CPU", None)
    env.pop("FORCE_ONLY_CUDA", None)
    if options.cuda_home:
        # The CUDA variant of a module has the CPU operators too, and is loaded if both exist.
        env.update(FORCE_CUDA="1", FORCE_ONLY_CUDA="1", TORCH_CUDA_ARCH_LIST=options.arch_list)
        env["CUDA_HOME"] = str(options.cuda_home)
    else:
        env.update(FORCE_CUDA="0", FORCE_ONLY_CPU="1")
        env.pop("CUDA_HOME", None)
    ccache = shutil.which("ccache", path=path)
    if ccache and not options.no_ccache:
        write_host_wrappers(work / "wrappers", compiler_names(), ccache, path)
        env["PATH"] = f"{work}/wrappers{os.pathsep}{path}"
        # Python's own flags contain -g, with which ccache would hash the working folder.
        env.update(CCACHE_NOHASHDIR="1", CCACHE_COMPILERCHECK=f"string:{compilers_digest(options.cuda_home)}")
        # Sources and narrow headers were written a moment ago, but before any compiler began.
        env.setdefault("CCACHE_SLOPPINESS", "include_file_mtime,include_file_ctime")
        if options.cuda_home:
            make_cuda_overlay(work / "cuda", options.cuda_home, ccache, path)
            env["CUDA_HOME"] = str(work / "cuda")
    return env


def nvcc_version(cuda_home: Path | None) -> str:
    """Return the version that nvcc prints, empty without CUDA."""
    if cuda_home is None:
        return ""
    nvcc = cuda_home / "bin/nvcc"
    if not nvcc.exists():
        raise UserError(f"{nvcc}: no such compiler (give --cuda-home, or --cpu)")
    text = subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"\bV(\d+\.\d+\.\d+)", text)
    if not found:
        raise UserError(f"{nvcc} --version: no version in its output")
    return found.group(1)


def check_architectures(arch_list: str, known: Iterable[str], nvcc: str) -> None:
    """Refuse architectures that nvcc would refuse after minutes; `known` is the output of `nvcc --list-gpu-arch`."""
    numbers = {re.sub(r"\D", "", name) for name in known}
    for word in re.split(r"[;\s]+", arch_list.strip()):
        found = re.fullmatch(r"(\d+)\.(\d)[af]?(\+PTX)?", word)
        if not found:
            raise UserError(f"{word!r} in --arch-list: not like 8.0 or 9.0+PTX")
        if numbers and found[1] + found[2] not in numbers:
            newest = max(numbers, key=int)
            raise UserError(
                f"nvcc {nvcc} cannot compile for {word}; its newest is {newest[:-1]}.{newest[-1]}"
            )
