"""Collect the contents of a bundle, each external input in its own step and in the container that would use it."""

from collections.abc import Mapping, Sequence

import dagger
from dagger import dag

from ci.bundle.commands import (
    BUNDLE_PROGRAM,
    COLLECT_PROGRAM,
    MIRROR_PROGRAM,
    collect_packages_command,
    make_bundle_command,
    mirror_channel_command,
)
from ci.plan.caches import Cache, name_distribution
from ci.plan.installs import InstallSpec
from ci.plan.paths import PREFIX, TOOLS_PYTHON
from ci.plan.stages import toolkit as toolkit_stage
from ci.plan.stages import wheels as wheels_stage
from ci.plan.stages.toolkit import ToolkitSpec, fetch_compiler_command
from ci.plan.stages.wheels import WheelsSpec, fetch_sources_command
from ci.plan.system import UPDATE_LISTS
from ci.stages.cache_volumes import with_cache
from ci.stages.context import BuildContext
from ci.stages.programs import with_program
from ci.stages.system import make_base_with_packages
from ci.stages.texts import make_text_file
from ci.stages.tools import install_tools

_OUT = "/opt/collected"
_COLLECTED = "/run/collected"
_LOCK = "/run/requirements.txt"
_PINS = "/opt/pins.txt"
_BUNDLE = "/opt/bundle"
_PYTHON_DEBS = ("ca-certificates", "python3", "python3-venv")
_COMPILER_DEBS = (*_PYTHON_DEBS, "dpkg-dev")


def collect_image(context: BuildContext, name: str) -> dagger.Directory:
    """Export a base image as an OCI archive."""
    return dag.directory().with_file("image.tar", context.image(name).as_tarball())


def collect_debs(context: BuildContext, name: str, packages: Sequence[str]) -> dagger.Directory:
    """Download Debian packages and those of their dependencies that the image lacks."""
    container = with_cache(context.with_apt(context.image(name)), Cache.APT_LISTS, name_distribution(name))
    return context.run_program(container, "collect_debs.sh", (_OUT, *packages)).directory(_OUT)


def container_with_tools(context: BuildContext, name: str, tools: str) -> dagger.Container:
    """Return the container of an image with Python and the tools that collect packages."""
    return install_tools(context, make_base_with_packages(context, name, _PYTHON_DEBS), tools)


def collect_tools(context: BuildContext, container: dagger.Container, requirements: str) -> dagger.Directory:
    """Collect the wheels of the tools; `container` has them installed."""
    return _collect_packages(context, container, TOOLS_PYTHON, requirements, ("--hashed",)).directory(_OUT)


def collect_toolkit(
    context: BuildContext, container: dagger.Container, spec: ToolkitSpec
) -> dagger.Directory:
    """Collect the wheels of the CUDA toolkit; `container` has the tools."""
    lines = spec.locked or "".join(f"{wheel}\n" for wheel in spec.wheels)
    options = ("--hashed",) if spec.locked else ()
    return _collect_packages(context, container, TOOLS_PYTHON, lines, options).directory(_OUT)


def collect_compiler(context: BuildContext, spec: ToolkitSpec) -> dagger.Directory:
    """Download the Debian package of the CUDA compiler."""
    container = install_tools(
        context, make_base_with_packages(context, spec.image, _COMPILER_DEBS), spec.tools
    )
    container = with_program(context.with_package_index(container), toolkit_stage.PROGRAM)
    container = context.run(container, UPDATE_LISTS)
    return context.run(container, fetch_compiler_command(spec, _OUT)).directory(_OUT)


def collect_installed(
    context: BuildContext, env: dagger.Container, spec: InstallSpec, parents: Mapping[str, dagger.File]
) -> tuple[dagger.Directory, dagger.File]:
    """Collect the packages that a stage installs; return them and the file of their versions.

    `parents` are the files of versions of the stages below, by stage name: constraints of this one.
    """
    options = ["--hashed"] if spec.hashed else []
    options += ["--frozen"] if spec.frozen else []
    options += ["--index", spec.extra_index] if spec.extra_index else []
    for name, pins in parents.items():
        env = env.with_mounted_file(f"/run/pins/{name}.txt", pins)
        options += ["--constraint", f"/run/pins/{name}.txt"]
    collected = _collect_packages(context, env, f"{PREFIX}/bin/python", spec.requirements, options)
    return collected.directory(_OUT), collected.file(_PINS)


def collect_sources(context: BuildContext, torch: dagger.Container, spec: WheelsSpec) -> dagger.Directory:
    """Download the source archives of the compiled extensions."""
    lock = make_text_file("sdists.txt", spec.requirements)
    container = with_program(context.with_mirror(torch).with_mounted_file(_LOCK, lock), wheels_stage.PROGRAM)
    return context.run(container, fetch_sources_command(_LOCK, _OUT)).directory(_OUT)


def collect_channel(context: BuildContext, env: dagger.Container) -> dagger.Directory:
    """Collect the conda packages of an environment as a channel."""
    container = with_program(context.with_mirror(env), MIRROR_PROGRAM)
    return context.run(container, mirror_channel_command(_OUT)).directory(_OUT)


def collect_file(context: BuildContext, name: str, address: str) -> dagger.Directory:
    """Download one file."""
    return dag.directory().with_file(name, context.download(address))


def assemble_bundle(
    context: BuildContext,
    container: dagger.Container,
    folders: Mapping[str, dagger.Directory],
    sources_name: str,
    cells: Sequence[str],
) -> dagger.Directory:
    """Write the bundle of the collected folders, by their paths in it; `container` has the tools."""
    container = with_program(container, BUNDLE_PROGRAM)
    for path, files in folders.items():
        container = container.with_mounted_directory(f"{_COLLECTED}/{path}", files)
    return context.run(container, make_bundle_command(_BUNDLE, _COLLECTED, sources_name, cells)).directory(
        _BUNDLE
    )


def _collect_packages(
    context: BuildContext, container: dagger.Container, python: str, requirements: str, options: Sequence[str]
) -> dagger.Container:
    """Collect the packages of requirements at `_OUT`, and their versions at `_PINS`."""
    lock = make_text_file("requirements.txt", requirements)
    container = with_cache(context.with_mirror(container), Cache.PIP).with_mounted_file(_LOCK, lock)
    container = with_program(container, COLLECT_PROGRAM)
    command = collect_packages_command(_OUT, python, _LOCK, Cache.PIP.path, _PINS, options)
    return context.run(container, command)
