"""CPython at the prefix where every image keeps its environment, without conda; and pip, by uv."""

import dagger
from dagger import dag

from ci.plan.commands import CHANNEL_DEBS, REFRESH, fetch_interpreter, make_interpreter
from ci.plan.specs import InterpreterSpec
from ci.stages import system as apt
from ci.stages.context import BuildContext, with_program, without_program
from ci.stages.install import install
from ci.stages.tools import with_tools

_OUT = "/opt/interpreter"
_RECIPE = "/run/interpreter.json"
_PROGRAM, _BESIDE = "make_interpreter.py", "make_channel.py"


def build(context: BuildContext, spec: InterpreterSpec, base: dagger.Container) -> dagger.Container:
    """Lay the interpreter down in the devel base."""
    if spec.recipe is None:
        container = _fetched(context, spec, base)
    else:
        container = base.with_directory(spec.prefix, _made(context, spec, spec.recipe))
    return install(container, context, spec.pip)


def _fetched(context: BuildContext, spec: InterpreterSpec, base: dagger.Container) -> dagger.Container:
    container = with_program(with_program(context.with_mirror(base), _PROGRAM), _BESIDE)
    container = context.run(container, fetch_interpreter(spec))
    return context.without_network(without_program(without_program(container, _PROGRAM), _BESIDE))


def _made(context: BuildContext, spec: InterpreterSpec, text: str) -> dagger.Directory:
    container = with_tools(apt.on(spec.image, context, CHANNEL_DEBS), context, spec.tools)
    container = with_program(with_program(container, _PROGRAM), _BESIDE)
    recipe = dag.directory().with_new_file("interpreter.json", text).file("interpreter.json")
    container = context.run(context.with_package_index(container.with_mounted_file(_RECIPE, recipe)), REFRESH)
    for command in make_interpreter(_RECIPE, _OUT):
        container = context.run(container, command)
    return container.directory(_OUT)
