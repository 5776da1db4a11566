"""Plan CPython at the environment's prefix without conda, with pip."""

from collections.abc import Mapping

from ci.config.matrix import Cell
from ci.plan import installs, system
from ci.plan.definition import StageDefinition
from ci.plan.externals import ExternalInput
from ci.plan.installs import InstallSpec
from ci.plan.paths import PARTS, PREFIX
from ci.plan.programs import python_command
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage
from ci.util.errors import UserError

PROGRAM = "make_interpreter.py"
DOWNLOADER = "make_channel.py"


class InterpreterSpec(Spec):
    """CPython at its final prefix without conda, and pip: a standalone build that uv fetches, or one of a recipe.

    `standalone` is where uv finds builds; without it the recipe is carried out on `image`.
    """

    prefix: str
    python: str
    standalone: str | None
    image: str
    recipe: str | None
    tools: str
    pip: InstallSpec


def applies(resolver: Resolver) -> bool:
    """Return whether uv alone makes the environment."""
    return not resolver.pair.conda


def resolve(resolver: Resolver) -> Stage:
    """Resolve where CPython comes from.

    Raises:
        UserError: the sources have no CPython of this version without conda.
    """
    inputs, python = resolver.inputs, resolver.cell.python
    address = resolver.sources.interpreter.standalone
    recipe, pip, how = None, "pip\n", "a standalone build that uv fetches"
    if address is None:
        found = inputs.locks.interpreter(python)
        if found is None:
            raise UserError(f"the {inputs.sources_name} sources have no CPython {python} without conda")
        recipe, pip = found
        how = "the sources have no standalone build: made of what the conda channel is made of"
    spec = InterpreterSpec(
        prefix=PREFIX,
        python=python,
        standalone=address,
        image=resolver.sources.images.cpu,
        recipe=recipe,
        tools=inputs.locks.tools(),
        pip=InstallSpec(
            requirements=pip,
            hashed=recipe is not None,
            index=resolver.sources.wheels.index,
            cache_gb=resolver.matrix.limits.uv_cache_gb,
        ),
    )
    reason = f"CPython {python} at {PREFIX} without conda; {how}"
    return resolver.make("interpreter", spec, (resolver.stages["base"],), reason)


def make_interpreter_commands(recipe: str, out: str) -> list[list[str]]:
    """Return the commands that download what a recipe's CPython is made of, and make its tree."""
    folders = [f"--{kind}={PARTS}/{kind}" for kind in ("jars", "debs")]
    made = ["made", out, "--at", PREFIX, "--recipe", recipe, *folders, "--cacert", "/run/ca.pem"]
    return [
        python_command(DOWNLOADER, "fetch", PARTS, "--recipe", recipe, "--only", "jars", "debs"),
        list(system.COLLECT_AUTHORITIES),
        python_command(PROGRAM, *made),
    ]


def fetch_interpreter_command(spec: InterpreterSpec) -> list[str]:
    """Return the command by which uv fetches a standalone CPython to the prefix."""
    mirror = ["--mirror", spec.standalone] if spec.standalone else []
    return python_command(PROGRAM, "standalone", spec.prefix, "--python", spec.python, *mirror)


def list_external_inputs(_: InterpreterSpec, __: Cell) -> Mapping[str, ExternalInput]:
    """Refuse to be collected.

    Raises:
        UserError: always.
    """
    raise UserError("an environment without conda goes into no bundle: choose a --variant that has conda")


STAGE = StageDefinition(
    name="interpreter",
    resolve=resolve,
    applies=applies,
    scope="pair",
    programs=(PROGRAM, system.DEBS_PROGRAM, system.TOOLS_PROGRAM, installs.PROGRAM),
    modules=(*system.DEBS_MODULES, *system.TOOLS_MODULES, *installs.MODULES),
    list_external_inputs=list_external_inputs,
)
