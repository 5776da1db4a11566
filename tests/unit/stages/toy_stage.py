"""A stage of one file, as docs/contributing.md shows it: it writes a greeting into the environment."""

from collections.abc import Mapping

import dagger

from ci.config.matrix import Cell
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import ExternalInput, file_input
from ci.plan.paths import PREFIX
from ci.plan.plan import Plan
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages


class GreetingSpec(Spec):
    """The text, and the file that is asked for."""

    text: str
    address: str


def resolve(resolver: Resolver) -> Stage:
    """Resolve the greeting, on top of the layers below."""
    spec = GreetingSpec(text=f"hello {resolver.cell.id}", address="https://example.org/greeting.txt")
    return resolver.make("greeting", spec, (resolver.top,), "a greeting", ("it greets",))


def greeting_command(spec: GreetingSpec) -> list[str]:
    """Return the command that writes the greeting."""
    return ["sh", "-c", f"echo '{spec.text}' >{PREFIX}/greeting"]


def list_external_inputs(spec: GreetingSpec, _: Cell) -> Mapping[str, ExternalInput]:
    """Return the file."""
    return {spec.address: file_input(spec.address)}


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    writer.stage(plan.stage("greeting").parents[0].name, "greeting", "A greeting.")
    writer.run([], greeting_command(plan.spec("greeting", GreetingSpec)))


STAGE = StageDefinition(
    name="greeting",
    resolve=resolve,
    scope="cell",
    layer=True,
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Write the greeting into the environment."""
    spec = stages.plan.spec("greeting", GreetingSpec)
    return context.run(stages.container_below("greeting"), greeting_command(spec))
