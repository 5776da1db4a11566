"""Plan marimo, the notebook server, in the environment."""

from collections.abc import Mapping

from ci.config.matrix import Cell
from ci.plan import installs
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import ExternalInput
from ci.plan.installs import InstallSpec
from ci.plan.plan import Plan
from ci.plan.resolver import Resolver
from ci.plan.stage import Stage


def applies(resolver: Resolver) -> bool:
    """Return whether the target has marimo."""
    return "marimo" in resolver.target.layers


def resolve(resolver: Resolver) -> Stage:
    """Resolve the packages, on top of the layers below."""
    install = resolver.pair.install("marimo")
    reason = f"marimo {resolver.matrix.marimo.version}"
    return resolver.make("marimo", install.spec, (resolver.top,), reason, install.notes)


def list_external_inputs(spec: InstallSpec, cell: Cell) -> Mapping[str, ExternalInput]:
    """Return the packages."""
    return installs.list_install_inputs("marimo", spec, cell)


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    writer.stage(plan.stage("marimo").parents[0].name, "marimo", "marimo.")
    installs.write_install(writer, "marimo", plan.spec("marimo", InstallSpec))


STAGE = StageDefinition(
    name="marimo",
    resolve=resolve,
    applies=applies,
    scope="cell",
    layer=True,
    dagger_module="install",
    programs=(installs.PROGRAM,),
    modules=installs.MODULES,
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
