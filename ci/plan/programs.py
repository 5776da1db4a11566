"""Name the programs of ci/programs with all files that each needs, and write commands that run them.

Mounts, the Dockerfiles' mounts and the digests of stages are derived from this table: a program that imports another
file needs it in its row.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from ci.config.fields import CheckName
from ci.plan.paths import PREFIX, PROGRAMS_FOLDER, TOOLS_PYTHON

_MAKE_CHANNEL = (
    "make_channel.py",
    *("common/commands.py", "common/downloads.py", "common/elf.py", "common/errors.py", "common/files.py"),
    *("common/pip.py", "common/repodata.py"),
)
# What a check needs besides itself and `checks/check.py`.
_CHECK_FILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "bytecode": ("common/patterns.py",),
        "certificates": ("common/small_wheels.py",),
        "conda_install": ("common/repodata.py",),
        "cuda_libraries": ("common/elf.py",),
        "extension_archs": ("common/elf.py", "common/fatbin.py"),
        "pip_install": ("common/small_wheels.py",),
        "profiler_symbols": ("common/elf.py",),
        "replace_packages": ("common/small_wheels.py",),
        "user_site": ("common/small_wheels.py",),
    }
)
_EXTENSIONS = (  # modules of compile_wheels.py
    *(
        "commands",
        "compilers",
        "headers",
        "limits",
        "macros",
        "pool",
        "report",
        "schedule",
        "sources",
        "tasks",
    ),
)
# Program: its files below ci/programs. A name without a dot is a folder.
PROGRAMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "add_user.sh": ("add_user.sh",),
        "bazelisk": ("bazelisk/package.json", "bazelisk/package-lock.json"),
        "build_ray.sh": ("build_ray.sh",),
        "collect_debs.sh": ("collect_debs.sh",),
        "collect_packages.py": (
            "collect_packages.py",
            *("common/commands.py", "common/errors.py", "common/pip.py"),
        ),
        "compare_layer.py": ("compare_layer.py",),
        "compile_env.py": ("compile_env.py", "common/errors.py", "common/patterns.py"),
        "compile_wheels.py": (
            "compile_wheels.py",
            *("common/errors.py", "common/files.py", "common/pip.py"),
            *(f"extensions/{name}.py" for name in _EXTENSIONS),
        ),
        "conda_env.sh": ("conda_env.sh",),
        "copy_changes.py": ("copy_changes.py",),
        "copy_packages.sh": ("copy_packages.sh",),
        "copy_env.py": ("copy_env.py", "common/errors.py", "common/files.py", "common/trees.py"),
        "cslr_images_start.pth": ("cslr_images_start.pth",),
        "cslr_images_start.py": ("cslr_images_start.py",),
        "install_debs.sh": ("install_debs.sh",),
        "install_packages.sh": ("install_packages.sh",),
        "install_tools.sh": ("install_tools.sh",),
        "install_wheels.sh": ("install_wheels.sh",),
        "keep_history.sh": ("keep_history.sh", "read_machine.sh"),
        "link_libraries.py": (
            "link_libraries.py",
            *("common/errors.py", "common/files.py", "common/trees.py"),
        ),
        "make_bundle.py": ("make_bundle.py",),
        "make_channel.py": _MAKE_CHANNEL,
        "make_env.py": ("make_env.py",),
        "make_interpreter.py": ("make_interpreter.py", *_MAKE_CHANNEL),
        "make_toolkit.py": (
            "make_toolkit.py",
            *("common/commands.py", "common/errors.py", "common/files.py", "common/pip.py"),
        ),
        "measure_sizes.py": ("measure_sizes.py", "common/elf.py", "common/fatbin.py"),
        "mirror_channel.py": (
            "mirror_channel.py",
            "common/downloads.py",
            "common/errors.py",
            "common/files.py",
            "common/repodata.py",
        ),
        "name_libraries.py": (
            "name_libraries.py",
            *("common/errors.py", "common/files.py", "common/trees.py"),
        ),
        "pack_env.py": ("pack_env.py", "common/errors.py", "common/files.py", "common/trees.py"),
        "place_ffmpeg.py": (
            "place_ffmpeg.py",
            *("common/commands.py", "common/elf.py", "common/errors.py", "common/records.py"),
        ),
        "read_indexes.py": ("read_indexes.py", "common/deadline.py"),
        "read_machine.sh": ("read_machine.sh",),
        "read_tag.py": ("read_tag.py",),
        "strip_libs.py": ("strip_libs.py", "common/elf.py", "common/errors.py", "common/records.py"),
        "trim_env.py": (
            "trim_env.py",
            *("common/conda_records.py", "common/own_tests.py", "common/patterns.py", "common/records.py"),
        ),
        "write_profile.sh": ("write_profile.sh",),
        # One row for each: a folder that is mounted whole would make every check run again after any change.
        "checks/hold_read_only.sh": ("checks/hold_read_only.sh",),
        **{
            f"checks/{name}.py": (f"checks/{name}.py", "checks/check.py", *_CHECK_FILES.get(name, ()))
            for name in get_args(CheckName)
        },
    }
)


def mounted_names(program: str) -> tuple[str, ...]:
    """Return the files and folders below ci/programs that are mounted for a program.

    >>> mounted_names("bazelisk"), mounted_names("copy_env.py")[:2]
    (('bazelisk',), ('copy_env.py', 'common/errors.py'))
    """
    names = (program if name.startswith(f"{program}/") else name for name in PROGRAMS[program])
    return tuple(dict.fromkeys(names))


def mounted_path(name: str) -> str:
    """Return where a file of ci/programs is mounted in a container."""
    return f"{PROGRAMS_FOLDER}/{name}"


def shell_command(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a shell program."""
    return ["sh", mounted_path(name), *arguments]


def python_command(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a Python program by the interpreter of the tools."""
    return [TOOLS_PYTHON, mounted_path(name), *arguments]


def environment_command(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a Python program by the environment's own Python, which it leaves as it is."""
    return [f"{PREFIX}/bin/python", "-B", mounted_path(name), *arguments]
