"""Collects what a bundle holds: each need in a step of its own, in the container in which a build would use it."""

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
from ci.plan.caches import Cache, of_image
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
from ci.stages.system import base_with_packages
from ci.stages.tools import install_tools

_OUT = "/opt/collected"
_GIVEN = "/run/collected"
_LOCK = "/run/requirements.txt"
_PINS = "/opt/pins.txt"
_BUNDLE = "/opt/bundle"
_PYTHON_DEBS = ("ca-certificates", "python3", "python3-venv")
_COMPILER_DEBS = (*_PYTHON_DEBS, "dpkg-dev")


def image(context: BuildContext, name: str) -> dagger.Directory:
    """Return a base image as an archive (OCI)."""
    return dag.directory().with_file("image.tar", context.image(name).as_tarball())


def debs(context: BuildContext, name: str, packages: Sequence[str]) -> dagger.Directory:
    """Return Debian packages with all that they need and the image has not."""
    container = with_cache(context.with_apt(context.image(name)), Cache.APT_LISTS, of_image(name))
    return context.run_program(container, "collect_debs.sh", (_OUT, *packages)).directory(_OUT)


def equipped(context: BuildContext, name: str, tools: str) -> dagger.Container:
    """Return an image with the tools, to collect in."""
    return install_tools(context, base_with_packages(context, name, _PYTHON_DEBS), tools)


def tools(context: BuildContext, container: dagger.Container, requirements: str) -> dagger.Directory:
    """Return the wheels of the tools; `container` has them already."""
    return _packages(context, container, TOOLS_PYTHON, requirements, ("--hashed",)).directory(_OUT)


def toolkit(context: BuildContext, container: dagger.Container, spec: ToolkitSpec) -> dagger.Directory:
    """Return the wheels of the CUDA toolkit."""
    lines = spec.locked or "".join(f"{wheel}\n" for wheel in spec.wheels)
    options = ("--hashed",) if spec.locked else ()
    return _packages(context, container, TOOLS_PYTHON, lines, options).directory(_OUT)


def compiler(context: BuildContext, spec: ToolkitSpec) -> dagger.Directory:
    """Return the Debian package of CUDA's compiler."""
    container = install_tools(context, base_with_packages(context, spec.image, _COMPILER_DEBS), spec.tools)
    container = context.run(
        with_program(context.with_package_index(container), toolkit_stage.PROGRAM), UPDATE_LISTS
    )
    return context.run(container, fetch_compiler_command(spec, _OUT)).directory(_OUT)


def installed(
    context: BuildContext, env: dagger.Container, spec: InstallSpec, below: Mapping[str, dagger.File]
) -> tuple[dagger.Directory, dagger.File]:
    """Return what a stage installs, and its versions; `below` has the versions of the stages that it stands on."""
    options = ["--hashed"] if spec.hashed else []
    options += ["--frozen"] if spec.frozen else []
    options += ["--index", spec.extra_index] if spec.extra_index else []
    for name, pins in below.items():
        env = env.with_mounted_file(f"/run/pins/{name}.txt", pins)
        options += ["--constraint", f"/run/pins/{name}.txt"]
    done = _packages(context, env, f"{PREFIX}/bin/python", spec.requirements, options)
    return done.directory(_OUT), done.file(_PINS)


def sources(context: BuildContext, torch: dagger.Container, spec: WheelsSpec) -> dagger.Directory:
    """Return the source archives of what is compiled."""
    lock = dag.directory().with_new_file("sdists.txt", spec.requirements).file("sdists.txt")
    container = with_program(context.with_mirror(torch).with_mounted_file(_LOCK, lock), wheels_stage.PROGRAM)
    return context.run(container, fetch_sources_command(_LOCK, _OUT)).directory(_OUT)


def channel(context: BuildContext, env: dagger.Container) -> dagger.Directory:
    """Return the conda packages of an environment as a channel of their own."""
    container = with_program(context.with_mirror(env), MIRROR_PROGRAM)
    return context.run(container, mirror_channel_command(_OUT)).directory(_OUT)


def file(context: BuildContext, name: str, address: str) -> dagger.Directory:
    """Return one file."""
    return dag.directory().with_file(name, context.download(address))


def bundle(
    context: BuildContext,
    container: dagger.Container,
    sets: Mapping[str, dagger.Directory],
    sources_name: str,
    cells: Sequence[str],
) -> dagger.Directory:
    """Return the bundle of what was collected, by the places of the sets in it; `container` has the tools."""
    container = with_program(container, BUNDLE_PROGRAM)
    for folder, files in sets.items():
        container = container.with_mounted_directory(f"{_GIVEN}/{folder}", files)
    return context.run(container, make_bundle_command(_BUNDLE, _GIVEN, sources_name, cells)).directory(
        _BUNDLE
    )


def _packages(
    context: BuildContext, container: dagger.Container, python: str, requirements: str, options: Sequence[str]
) -> dagger.Container:
    lock = dag.directory().with_new_file("requirements.txt", requirements).file("requirements.txt")
    container = with_cache(context.with_mirror(container), Cache.PIP).with_mounted_file(_LOCK, lock)
    container = with_program(container, COLLECT_PROGRAM)
    command = collect_packages_command(_OUT, python, _LOCK, Cache.PIP.path, _PINS, options)
    return context.run(container, command)
