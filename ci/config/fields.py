"""What may stand in the fields of documents: all that ends up in a command line, a path or an address."""

from typing import Annotated, Literal

from packaging import requirements
from pydantic import AfterValidator, StringConstraints


def _checked_requirement(line: str) -> str:
    requirements.Requirement(line)
    return line


# A version has no local label (`+cu128`): the wheel tag of the CUDA version is added where it belongs.
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
    AfterValidator(_checked_requirement),
]
ArchList = Annotated[
    str, StringConstraints(pattern=r"^[0-9]+\.[0-9][a-z]?(\+PTX)?([ ;][0-9]+\.[0-9][a-z]?(\+PTX)?)*$")
]
Glob = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.*?\[\]!_-]{1,80}$")]
CudaVersion = Annotated[str, StringConstraints(pattern=r"^(cpu|[0-9]+\.[0-9]+\.[0-9]+)$")]
PythonVersion = Annotated[str, StringConstraints(pattern=r"^3\.[0-9]{1,2}$")]
Kind = Literal["devel", "runtime"]
Layer = Literal["ray", "marimo"]
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
    "ray_task",
    "marimo_page",
]
