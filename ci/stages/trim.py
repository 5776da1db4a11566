"""Remove from a tree what a variant removes, strip symbols from its libraries, and compile its modules."""

import dagger

from ci.plan.paths import PREFIX
from ci.plan.stages.pack import (
    COMPILE_PROGRAM,
    STRIP_PROGRAM,
    TRIM_PROGRAM,
    PackSpec,
    compile_env_command,
    dump_rules,
    list_patterns,
    strip_libs_command,
    trim_env_command,
)
from ci.stages.context import BuildContext
from ci.stages.programs import with_program
from ci.stages.texts import make_text_file

_ROOT = "/opt/trimmed"
_RULES = "/run/rules.json"
_WITHOUT = "/run/bytecode.txt"


def trim_tree(
    context: BuildContext, tools: dagger.Container, spec: PackSpec, tree: dagger.Directory
) -> dagger.Directory:
    """Trim, strip and compile a tree of the environment.

    `tools` has binutils and the Python of the tools; to compile it has the environment too.
    """
    if not spec.processed:
        return tree
    container = tools.with_directory(_ROOT, tree)
    if spec.trims:
        rules = make_text_file("rules.json", dump_rules(spec))
        container = with_program(container.with_mounted_file(_RULES, rules), TRIM_PROGRAM)
        container = context.run(container, trim_env_command(_ROOT, _RULES))
    if spec.strip != "no":
        command = strip_libs_command(_ROOT, spec.strip)
        container = context.run(with_program(container, STRIP_PROGRAM), command)
    if spec.without_bytecode is not None:
        without = make_text_file("bytecode.txt", list_patterns(spec.without_bytecode))
        container = with_program(container.with_mounted_file(_WITHOUT, without), COMPILE_PROGRAM)
        container = context.run(container, compile_env_command(_ROOT, _WITHOUT))
    return container.directory(_ROOT)


def strip_image(context: BuildContext, tools: dagger.Container, image: dagger.Container) -> dagger.Container:
    """Strip the environment of any image that has it at the prefix; a file that would break stays whole."""
    spec = PackSpec(
        prefix=PREFIX,
        conda=False,
        site_packages="",
        libraries=None,
        trims=(),
        strip="unneeded",
        without_bytecode=None,
    )
    return image.with_directory(PREFIX, trim_tree(context, tools, spec, image.directory(PREFIX)))
