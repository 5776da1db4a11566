"""What torch loads of CUDA, those libraries too that it loads only when they are used, is there; NVRTC compiles.

torch's libraries name what they need in their dynamic section. The driver's are the machine's, all else is the image's.
NVRTC, which torch's fused kernels are made by, compiles one for a GPU; none need be there.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import struct
from importlib.util import find_spec
from pathlib import Path

from promise import Facts, PromiseError, expect, keep

DYNAMIC, STRTAB, NEEDED = 6, 5, 1
DRIVER = re.compile(r"^lib(cuda|nvidia-.*|nvcuvid)\.so(\.|$)")
KERNEL = b'extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }'


def needed(library: Path) -> list[str]:
    """The libraries that a 64-bit little-endian ELF file names as needed."""
    data = library.read_bytes()[:64]
    if data[:6] != b"\x7fELF\x02\x01":
        return []
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    with library.open("rb") as opened:

        def part(offset: int, length: int) -> bytes:
            opened.seek(offset)
            return opened.read(length)

        rows = [struct.unpack_from("<IIQQQQI", part(table + at * size, size)) for at in range(count)]
        dynamic = next((row for row in rows if row[1] == DYNAMIC), None)
        if dynamic is None:
            return []
        strings = part(*rows[dynamic[6]][4:6])
        entries = struct.iter_unpack("<qQ", part(*dynamic[4:6]))
        return [strings[at : strings.index(b"\0", at)].decode() for kind, at in entries if kind == NEEDED]


def folder_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PromiseError(f"no {package}")
    return Path(next(iter(spec.submodule_search_locations)))


def compiled(nvrtc: ctypes.CDLL, arch: str) -> int:
    """Compile a kernel; return the bytes of its machine code."""
    program, size, log = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), KERNEL, b"twice.cu", 0, None, None)
    options = (ctypes.c_char_p * 1)(f"--gpu-architecture={arch}".encode())
    code = nvrtc.nvrtcCompileProgram(program, 1, options)
    if code:
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(log))
        text = ctypes.create_string_buffer(max(1, log.value))
        nvrtc.nvrtcGetProgramLog(program, text)
        raise PromiseError(f"NVRTC does not compile ({code}): {text.value.decode(errors='replace')}")
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    return size.value


def named(there: dict[str, Path], pattern: str) -> Path:
    found = next((path for name, path in sorted(there.items()) if re.fullmatch(pattern, name)), None)
    if found is None:
        raise PromiseError(f"no library is called {pattern}")
    return found


def check() -> Facts:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", default="torch", help="whose libraries are looked at")
    parser.add_argument("--arch", default="sm_80", help="the GPU that NVRTC compiles for")
    options = parser.parse_args()
    own = sorted((folder_of(options.package) / "lib").glob("*.so*"))
    expect(bool(own), f"{options.package} has no libraries")
    if options.package == "torch":
        __import__("torch")  # whoever uses them has loaded those that it loads at once
    beside = folder_of("nvidia")
    there = {path.name: path for path in (*own, *beside.rglob("*.so*"))}
    wanted = sorted({name for library in own for name in needed(library) if not DRIVER.match(name)})
    missing = []
    for name in wanted:
        try:
            ctypes.CDLL(str(there.get(name, name)))
        except OSError as error:
            if not re.match(
                r"lib(cuda|nvidia-[a-z]+)\.so", str(error)
            ):  # the driver, which a machine without GPU lacks
                missing.append(str(error))
    expect(not missing, f"cannot load {'; '.join(missing)}")
    nvrtc = named(there, r"libnvrtc\.so\.\d+")
    # NVRTC asks for it by its name, which is known of a library that is loaded; torch's libraries know the place.
    ctypes.CDLL(str(named(there, r"libnvrtc-builtins\.so\.[\d.]+")))
    size = compiled(ctypes.CDLL(str(nvrtc)), options.arch)
    return {"libraries": len(wanted), "nvrtc": nvrtc.name, "cubin": size}


if __name__ == "__main__":
    keep(check)
