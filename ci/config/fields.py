"""Define the constrained strings of the documents: matrix, sources, mirrors.

Whatever ends up in a command line, a path or an address has one of these types, so that no value can hold anything
that a shell or a terminal would interpret.
"""

from typing import Annotated, Literal

from packaging import requirements
from pydantic import AfterValidator, StringConstraints


def _check_requirement(line: str) -> str:
    requirements.Requirement(line)
    return line


# A version has no local label (`+cu128`): the wheel tag of the CUDA version is added when a plan is made.
Version = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?$", max_length=40
    ),
]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$")]
# apt reads a hyphen at the end as "remove".
DebianName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]{0,59}[a-z0-9.+]$")]
# No part of a path is `.` or `..`.
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*)+$")]
Requirement = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[a-z0-9,_-]+\])?"
        r"( ?(==|!=|~=|<=|>=|<|>) ?[0-9][0-9A-Za-z.*+_]*(, ?(==|!=|~=|<=|>=|<|>) ?[0-9][0-9A-Za-z.*+_]*)*)?$"
    ),
    AfterValidator(_check_requirement),
]
_ARCH = r"[0-9]{1,2}\.[0-9][a-z]?(\+PTX)?"
# GPU architectures as torch writes them: `8.0 9.0+PTX`.
ARCH_LIST_PATTERN = rf"^{_ARCH}([ ;]{_ARCH})*$"
ArchList = Annotated[str, StringConstraints(pattern=ARCH_LIST_PATTERN)]
_GLOB_CHARACTERS = r"A-Za-z0-9.*?\[\]!_-"
# Globs over cell ids: `cu12*-py3.13-ray-*`.
GLOB_PATTERN = rf"^[{_GLOB_CHARACTERS}]{{1,80}}$"
Glob = Annotated[str, StringConstraints(pattern=GLOB_PATTERN)]
# Globs over image names, which are cell ids with or without a variant: `*-ray-runtime`, `*-runtime@slim`.
ImageGlob = Annotated[str, StringConstraints(pattern=rf"^[@{_GLOB_CHARACTERS}]{{1,80}}$")]
CudaVersion = Annotated[str, StringConstraints(pattern=r"^(cpu|[0-9]+\.[0-9]+\.[0-9]+)$")]
PythonVersion = Annotated[str, StringConstraints(pattern=r"^3\.[0-9]{1,2}$")]
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
    "video",
    "ray_task",
    "marimo_page",
]
