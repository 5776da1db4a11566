"""Out of a layer's files what a variant takes out, and the symbols of its libraries."""

import dagger
from dagger import dag

from ci.plan.commands import strip_libs, trim_env, trim_rules
from ci.plan.specs import PackSpec
from ci.stages.context import BuildContext, with_program

_ROOT = "/opt/trimmed"
_RULES = "/run/rules.json"


def build(
    context: BuildContext, tools: dagger.Container, spec: PackSpec, tree: dagger.Directory
) -> dagger.Directory:
    """Trim a tree of the environment; `tools` has binutils and the Python of the tools."""
    container = tools.with_directory(_ROOT, tree)
    if spec.trims:
        rules = dag.directory().with_new_file("rules.json", trim_rules(spec)).file("rules.json")
        container = with_program(container.with_mounted_file(_RULES, rules), "trim_env.py")
        container = context.run(container, trim_env(_ROOT, _RULES))
    if spec.strip != "no":
        container = context.run(with_program(container, "strip_libs.py"), strip_libs(_ROOT, spec.strip))
    return container.directory(_ROOT)
