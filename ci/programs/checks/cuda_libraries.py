"""Check that all CUDA libraries that torch may load, also those that it loads late, exist, and that NVRTC compiles.

torch's libraries list the libraries that they need. Those of the driver belong to the machine, all others to the image.
NVRTC, by which torch compiles fused kernels, must compile one for a GPU, which need not exist here.
"""

from __future__ import annotations

import argparse
import ctypes
import re
from importlib.util import find_spec
from pathlib import Path

from check import CheckError, Facts, require, run_check

from common.elf import read_needed

DRIVER = re.compile(r"^lib(cuda|nvidia-.*|nvcuvid)\.so(\.|$)")
KERNEL = b'extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }'


def folder_of(package: str) -> Path:
    """Return the folder of an installed package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CheckError(f"no {package}")
    return Path(next(iter(spec.submodule_search_locations)))


def compile_kernel(nvrtc: ctypes.CDLL, arch: str) -> int:
    """Compile a kernel; return the bytes of its machine code."""
    program, size, log = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), KERNEL, b"twice.cu", 0, None, None)
    options = (ctypes.c_char_p * 1)(f"--gpu-architecture={arch}".encode())
    code = nvrtc.nvrtcCompileProgram(program, 1, options)
    if code:
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(log))
        text = ctypes.create_string_buffer(max(1, log.value))
        nvrtc.nvrtcGetProgramLog(program, text)
        raise CheckError(f"NVRTC does not compile ({code}): {text.value.decode(errors='replace')}")
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    return size.value


def find_library(libraries: dict[str, Path], pattern: str) -> Path:
    """Return the first library whose whole name matches."""
    path = next((path for name, path in sorted(libraries.items()) if re.fullmatch(pattern, name)), None)
    if path is None:
        raise CheckError(f"no library is called {pattern}")
    return path


def check() -> Facts:
    """Load each needed library, and compile a kernel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", default="torch", help="whose libraries are looked at")
    parser.add_argument("--arch", default="sm_80", help="the GPU that NVRTC compiles for")
    options = parser.parse_args()
    own = sorted((folder_of(options.package) / "lib").glob("*.so*"))
    require(bool(own), f"{options.package} has no libraries")
    if options.package == "torch":
        __import__("torch")  # which loads some at once, as for every user
    installed = {path.name: path for path in (*own, *folder_of("nvidia").rglob("*.so*"))}
    wanted = sorted({name for library in own for name in read_needed(library) if not DRIVER.match(name)})
    missing = []
    for name in wanted:
        try:
            ctypes.CDLL(str(installed.get(name, name)))
        except OSError as error:
            if not re.match(
                r"lib(cuda|nvidia-[a-z]+)\.so", str(error)
            ):  # the driver, which a machine without GPU lacks
                missing.append(str(error))
    require(not missing, f"cannot load {'; '.join(missing)}")
    nvrtc = find_library(installed, r"libnvrtc\.so\.\d+")
    # NVRTC opens it by name, which works for a library that is loaded; torch's libraries know its path.
    ctypes.CDLL(str(find_library(installed, r"libnvrtc-builtins\.so\.[\d.]+")))
    size = compile_kernel(ctypes.CDLL(str(nvrtc)), options.arch)
    return {"libraries": len(wanted), "nvrtc": nvrtc.name, "cubin": size}


if __name__ == "__main__":
    run_check(check)
