"""Define the constrained strings of the documents: matrix, sources, mirrors.

Whatever ends up in a command line, a path or an address has one of these types, so that no value can hold anything
that a shell or a terminal would interpret.
"""

from typing import Annotated, Literal

from packaging import requirements
from pydantic import AfterValidator, StringConstraints

from ci.util.model import accepts


def _check_requirement(line: str) -> str:
    requirements.Requirement(line)
    return line


# A version has no local label (`+cu128`): the wheel tag of the CUDA version is added when a plan is made.
Version = Annotated[
    str,
    StringConstraints(
        pattern=accepts(
            r"^[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?$", "a version such as 2.11.0"
        ),
        max_length=40,
    ),
]
Word = Annotated[
    str,
    StringConstraints(
        pattern=accepts(
            r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,59}[A-Za-z0-9])?$",
            "letters and digits, between them also . _ and -, at most 61 characters",
        )
    ),
]
# apt reads a hyphen at the end as "remove".
DebianName = Annotated[
    str,
    StringConstraints(
        pattern=accepts(r"^[a-z0-9][a-z0-9.+-]{0,59}[a-z0-9.+]$", "a Debian package such as build-essential")
    ),
]
# No part of a path is `.` or `..`.
AbsolutePath = Annotated[
    str,
    StringConstraints(
        pattern=accepts(
            r"^(/[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*)+$", "an absolute path such as /workspace"
        )
    ),
]
Requirement = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z0-9,_-]+\])?"
        r"( ?(==|!=|~=|<=|>=|<|>) ?[0-9][0-9A-Za-z.*+_]*(, ?(==|!=|~=|<=|>=|<|>) ?[0-9][0-9A-Za-z.*+_]*)*)?$"
    ),
    AfterValidator(_check_requirement),
]
_ARCH = r"[1-9][0-9]?\.[0-9][af]?(\+PTX)?"  # torch.utils.cpp_extension: `a` and `f` are the only letters
# GPU architectures as torch writes them: `8.0 9.0+PTX`.
ARCH_LIST_PATTERN = rf"^{_ARCH}([ ;]{_ARCH})*$"
ArchList = Annotated[
    str, StringConstraints(pattern=accepts(ARCH_LIST_PATTERN, "GPU architectures such as 8.0 9.0+PTX"))
]
_GLOB_CHARACTERS = r"A-Za-z0-9.*?\[\]!_-"
# Globs over cell ids: `cu12*-py3.13-ray-*`.
GLOB_PATTERN = rf"^[{_GLOB_CHARACTERS}]{{1,80}}$"
Glob = Annotated[str, StringConstraints(pattern=accepts(GLOB_PATTERN, "a glob such as cu12*-py3.13-ray-*"))]
# Globs over image names, which are cell ids with or without a variant: `*-ray-runtime`, `*-runtime@slim`.
ImageGlob = Annotated[
    str,
    StringConstraints(
        pattern=accepts(rf"^[@{_GLOB_CHARACTERS}]{{1,80}}$", "a glob such as *-ray-runtime@slim")
    ),
]
CudaVersion = Annotated[
    str,
    StringConstraints(
        pattern=accepts(
            r"^(cpu|[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})$", "cpu, or a CUDA version such as 12.8.1"
        )
    ),
]
PythonVersion = Annotated[
    str, StringConstraints(pattern=accepts(r"^3\.(0|[1-9][0-9]?)$", "a Python version such as 3.13"))
]
Kind = Literal["devel", "runtime"]
Layer = Literal["ray", "marimo"]
# All checks of images, in no particular order; `ci.inspection.checks` decides which apply to an image.
CheckName = Literal[
    "versions",
    "imports",
    "standard_library",
    "pip_check",
    "train_step",
    "extension_ops",
    "no_root_needed",
    "cpp_extension_cpu",
    "torch_compile_cpu",
    "cpp_extension_cuda",
    "extension_archs",
    "triton_compile",
    "cuda_libraries",
    "profiler_symbols",
    "pip_install",
    "conda_install",
    "variables",
    "user_places",
    "user_site",
    "certificates",
    "apt_install",
    "driver_mount",
    "video",
    "ray_task",
    "marimo_page",
    "bytecode",
    "replace_packages",
    "completion",
    "cuda_link",
    "cmake_torch",
    "copied_packages",
    "conda_tools",
]
