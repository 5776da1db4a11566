"""Build stand-ins for the big Python packages: same names, a few kilobytes, so that a test can build 18 cells.

Only packages that the stages merely install have stand-ins. The tools of the stages are real: uv, conda, nvcc,
strip, conda-pack. The extension's source archive compiles a real kernel with a real nvcc.
"""

import base64
import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

EPOCH = (2024, 1, 1, 0, 0, 0)

# A shared library with symbols to strip, for the package that stands in for torch.
LIBRARY = "static int hidden(int x) { return x + 1; }\nint stand_in(int x) { return hidden(x); }\n"

LIBRARIES = "nvidia-stand-in"
CACHE_DIR_UTILS = '''
"""Stands in for torch._inductor.runtime.cache_dir_utils: the folder that torch.compile chooses for its cache."""
import getpass
import os
import tempfile


def cache_dir():
    own = os.path.join(tempfile.gettempdir(), f"torchinductor_{getpass.getuser()}")
    folder = os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", own)
    os.makedirs(folder, exist_ok=True)
    return folder
'''
CPP_EXTENSION = '''
"""Stands in for torch.utils.cpp_extension: .cu files go to nvcc, the rest is setuptools."""
import os
import subprocess
from setuptools.command.build_ext import build_ext


class BuildExtension(build_ext):
    def build_extension(self, extension):
        if os.path.exists(self.get_ext_fullpath(extension.name)):
            return
        kernels = [source for source in extension.sources if source.endswith(".cu")]
        extension.sources = [source for source in extension.sources if source not in kernels]
        home = os.environ.get("CUDA_HOME", "")
        for kernel in kernels:
            target = os.path.join(self.build_temp, os.path.basename(kernel) + ".o")
            os.makedirs(self.build_temp, exist_ok=True)
            nvcc = [f"{home}/bin/nvcc", "-arch=sm_80", "-Xcompiler", "-fPIC"]
            subprocess.run([*nvcc, "-c", kernel, "-o", target], check=True)
            extension.extra_objects.append(target)
        if kernels:
            extension.libraries.append("cudart")
            extension.library_dirs.append(f"{home}/lib64")
        super().build_extension(extension)
'''

SETUP = """
from setuptools import Extension, setup
from torch.utils.cpp_extension import BuildExtension
import os

cuda = os.environ.get("FORCE_CUDA") == "1"
sources = ["csrc/module.c"] + (["csrc/kernel.cu"] if cuda else [])
name = "{name}._stand_in_cuda" if cuda else "{name}._stand_in_cpu"
setup(
    name="{name}",
    version="{version}",
    packages=["{name}"],
    ext_modules=[Extension(name, sources, define_macros=[("MODULE", name.rsplit(".", 1)[1])])],
    cmdclass={{"build_ext": BuildExtension}},
)
"""

# Two modules that do not fit into memory side by side: the second compiler to start is killed, as the kernel would.
HUNGRY = """
from pathlib import Path
from setuptools import Extension, setup
from torch.utils.cpp_extension import BuildExtension

# gcc runs the programs that do its work through this one.
WRAPPER = Path("/tmp/hungry.sh")
WRAPPER.write_text('''
case $1 in */cc1) ;; *) exec "$@" ;; esac
mkdir /tmp/hungry || {{ touch /tmp/hungry-second; kill -KILL $$; }}
# On a busy machine two that are started at once come here many seconds apart.
for second in $(seq 30); do [ -e /tmp/hungry-second ] || sleep 1; done
"$@" && rmdir /tmp/hungry
''')

setup(
    name="{name}",
    version="{version}",
    packages=["{name}"],
    ext_modules=[
        Extension(
            f"{name}._{{part}}",
            [f"csrc/{{part}}.c"],
            define_macros=[("MODULE", "_" + part)],
            extra_compile_args=["-wrapper", f"sh,{{WRAPPER}}"],
        )
        for part in ("one", "two")
    ],
    cmdclass={{"build_ext": BuildExtension}},
)
"""

# A server where the command line of marimo's asks for one; it tells how it was started.
MARIMO = '''
"""Stands in for marimo."""
import http.server
import json
import os
import sys

__version__ = "{version}"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = {{"words": sys.argv[1:], "folder": os.getcwd(), "user": os.getuid()}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())


def main():
    host, port = (sys.argv[sys.argv.index(name) + 1] for name in ("--host", "--port"))
    http.server.ThreadingHTTPServer((host, int(port)), Answer).serve_forever()
'''

MODULE = """
#include <Python.h>
#define NAME2(x) PyInit_##x
#define NAME(x) NAME2(x)
#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, TEXT(MODULE), 0, -1, 0};
PyMODINIT_FUNC NAME(MODULE)(void) { return PyModule_Create(&module); }
"""

KERNEL = """
__global__ void twice(float *x) { x[threadIdx.x] *= 2; }
extern "C" void run(float *x) { twice<<<1, 32>>>(x); }
"""


def wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes | str] | None = None,
    *,
    tag: str = "py3-none-any",
    requires: tuple[str, ...] = (),
) -> Path:
    """Write a wheel; without files it has one module that knows its version."""
    module = name.replace("-", "_")
    content = dict(files or {f"{module}/__init__.py": f'__version__ = "{version}"\n'})
    info = f"{module}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    extras = "".join(f"Provides-Extra: {extra}\n" for extra in ("data", "train", "tune", "serve"))
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}{extras}"
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: stand-in\nRoot-Is-Purelib: true\nTag: {tag}\n"
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(_bytes(data)).digest()).rstrip(b'=').decode()},"
        f"{len(_bytes(data))}"
        for path, data in content.items()
    ]
    content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    target = folder / f"{module}-{version}-{tag}.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path, EPOCH), _bytes(data))
    return target


def torch(folder: Path, version: str, scratch: Path, build: str = "") -> Path:
    """Write the wheel that stands in for torch, with a real shared library in it.

    `build` (`cu128`) is told by torch alone, as the package index has it: the wheel's own version does not say it.
    """
    public, _, local = version.partition("+")
    local = build or local
    told = f"{public}+{local}" if local else public
    cuda = f'"{local[2:4]}.{local[4:]}"' if local.startswith("cu") else "None"
    files: dict[str, bytes | str] = {
        "torch/__init__.py": f'from . import version\n__version__ = "{told}"\n',
        "torch/version.py": f"cuda = {cuda}\npublic = {public!r}\n",
        "torch/utils/__init__.py": "",
        "torch/utils/cpp_extension.py": CPP_EXTENSION,
        "torch/_inductor/runtime/cache_dir_utils.py": CACHE_DIR_UTILS,
        "torch/lib/libstand_in.so": _compile_library(scratch),
    }
    return wheel(folder, "torch", version, files, tag="py3-none-linux_x86_64", requires=(LIBRARIES,))


def marimo(folder: Path, version: str, more: Mapping[str, str] | None = None) -> Path:
    """Write the wheel that stands in for marimo, with its command and more files beside."""
    files: dict[str, bytes | str] = {
        "marimo/__init__.py": MARIMO.format(version=version),
        f"marimo-{version}.dist-info/entry_points.txt": "[console_scripts]\nmarimo = marimo:main\n",
        **(more or {}),
    }
    return wheel(folder, "marimo", version, files)


def video(folder: Path, version: str, scratch: Path) -> None:
    """Write the wheels that stand in for PyAV and torchcodec: a library, and one that needs it by another name."""
    codec, core = scratch / "libavcodec.so.62", scratch / "libtorchcodec_core8.so"
    for path, text, needs in (
        (codec, "int avcodec(void) { return 62; }\n", []),
        (core, "int avcodec(void);\nint frames(void) { return avcodec(); }\n", [str(codec)]),
    ):
        source = scratch / "video.c"
        source.write_text(text)
        command = [
            "gcc",
            "-shared",
            "-fPIC",
            f"-Wl,-soname,{path.name}",
            "-o",
            str(path),
            str(source),
            *needs,
        ]
        subprocess.run(command, check=True)
    bundled: dict[str, bytes | str] = {
        "av/__init__.py": "",
        "av.libs/libavcodec-0000abcd.so.62.1.100": codec.read_bytes(),
    }
    loaded: dict[str, bytes | str] = {
        "torchcodec/__init__.py": "",
        f"torchcodec/{core.name}": core.read_bytes(),
    }
    for name, files in (("av", bundled), ("torchcodec", loaded)):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        wheel(place, name, version, files, tag="py3-none-manylinux_2_28_x86_64")


def libraries(folder: Path, version: str, scratch: Path) -> Path:
    """Write the wheel that stands in for those of CUDA's libraries, which torch needs."""
    files: dict[str, bytes | str] = {"nvidia/stand_in/lib/libstand_in.so.1": _compile_library(scratch)}
    return wheel(folder, LIBRARIES, version, files, tag="py3-none-manylinux2014_x86_64")


def extension_sdist(folder: Path, name: str, version: str, *, hungry: bool = False) -> Path:
    """Write the source archive of an extension: a C module and a CUDA kernel, or two modules for one at a time."""
    module = name.replace("-", "_")
    top = f"{module}-{version}"
    # ccache has no object of another version: these are compiled.
    own = f'{MODULE}static const char version[] __attribute__((used)) = "{version}";\n'
    sources = {"csrc/one.c": own, "csrc/two.c": own} if hungry else {"csrc/module.c": MODULE}
    files = {
        "setup.py": (HUNGRY if hungry else SETUP).format(version=version, name=module),
        f"{module}/__init__.py": f'__version__ = "{version}"\n',
        "csrc/kernel.cu": KERNEL,
        **sources,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    target = folder / f"{top}.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{top}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return target


def _compile_library(scratch: Path) -> bytes:
    source, library = scratch / "library.c", scratch / "libstand_in.so"
    source.write_text(LIBRARY)
    # With a path of this run in its debug information, each run's would be another one.
    command = [
        "gcc",
        "-g",
        f"-ffile-prefix-map={scratch}=.",
        "-shared",
        "-fPIC",
        "-o",
        library.name,
        source.name,
    ]
    subprocess.run(command, cwd=scratch, check=True)
    return library.read_bytes()


def _bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode()
