"""Name the programs of ci/programs with all files that each needs, and write commands that run them.

Mounts, the Dockerfiles' mounts and the digests of stages are derived from this table: a program that imports another
file needs it in its row.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ci.plan.paths import PROGRAMS_FOLDER, TOOLS_PYTHON

# Program: its files below ci/programs. A name without a dot is a folder.
PROGRAMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "add_user.sh": ("add_user.sh",),
        "added_files.py": ("added_files.py",),
        "bazelisk": ("bazelisk/package.json", "bazelisk/package-lock.json"),
        "build_ray.sh": ("build_ray.sh",),
        "bundle.py": ("bundle.py",),
        "collect_debs.sh": ("collect_debs.sh",),
        "collect_packages.py": ("collect_packages.py",),
        "compile_wheels.py": ("compile_wheels.py",),
        "conda_env.sh": ("conda_env.sh",),
        "copy_env.py": ("copy_env.py",),
        "cuda_home.py": ("cuda_home.py",),
        "install_debs.sh": ("install_debs.sh",),
        "install_packages.sh": ("install_packages.sh",),
        "install_tools.sh": ("install_tools.sh",),
        "install_wheels.sh": ("install_wheels.sh",),
        "ledger.py": ("ledger.py",),
        "make_channel.py": ("make_channel.py",),
        "make_env.py": ("make_env.py",),
        "make_interpreter.py": ("make_interpreter.py", "make_channel.py"),
        "mirror_channel.py": ("mirror_channel.py",),
        "pack_env.py": ("pack_env.py",),
        "promises": ("promises",),
        "read_pages.py": ("read_pages.py",),
        "read_tag.py": ("read_tag.py",),
        "strip_libs.py": ("strip_libs.py",),
        "trim_env.py": ("trim_env.py",),
    }
)


def mounted_path(name: str) -> str:
    """Return where a file of ci/programs is mounted in a container."""
    return f"{PROGRAMS_FOLDER}/{name}"


def shell_command(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a shell program."""
    return ["sh", mounted_path(name), *arguments]


def python_command(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a Python program by the interpreter of the tools."""
    return [TOOLS_PYTHON, mounted_path(name), *arguments]
