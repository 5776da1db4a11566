"""Put CPython at the environment's prefix without conda, and install pip by uv."""

import dagger

from ci.plan.stages.channel import PACKAGES
from ci.plan.stages.interpreter import (
    PROGRAM,
    InterpreterSpec,
    fetch_interpreter_command,
    make_interpreter_commands,
)
from ci.plan.system import UPDATE_LISTS
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.install import install
from ci.stages.programs import with_program, without_program
from ci.stages.system import make_base_with_packages
from ci.stages.texts import make_text_file
from ci.stages.tools import install_tools

_OUT = "/opt/interpreter"
_RECIPE = "/run/interpreter.json"


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Put the interpreter into the devel base."""
    spec = stages.plan.spec("interpreter", InterpreterSpec)
    base = stages.container("base")
    if spec.recipe is None:
        container = _fetch(context, spec, base)
    else:
        container = base.with_directory(spec.prefix, _make(context, spec, spec.recipe))
    return install(context, container, spec.pip)


def _fetch(context: BuildContext, spec: InterpreterSpec, base: dagger.Container) -> dagger.Container:
    container = with_program(context.with_mirror(base), PROGRAM)
    container = context.run(container, fetch_interpreter_command(spec))
    return context.without_network(without_program(container, PROGRAM))


def _make(context: BuildContext, spec: InterpreterSpec, text: str) -> dagger.Directory:
    container = install_tools(context, make_base_with_packages(context, spec.image, PACKAGES), spec.tools)
    recipe = make_text_file("interpreter.json", text)
    container = with_program(container, PROGRAM).with_mounted_file(_RECIPE, recipe)
    container = context.run(context.with_package_index(container), UPDATE_LISTS)
    for command in make_interpreter_commands(_RECIPE, _OUT):
        container = context.run(container, command)
    return container.directory(_OUT)
