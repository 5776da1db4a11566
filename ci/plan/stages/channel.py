"""Plan the conda channel that is made of package registries, for sources that name no channel."""

from collections.abc import Mapping

from ci.config.matrix import Cell
from ci.config.sources import fill_placeholders
from ci.plan import system
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import CONDA, IMAGE, ExternalInput, image_input
from ci.plan.paths import CHANNEL, PARTS
from ci.plan.plan import Plan
from ci.plan.programs import python_command
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage

PROGRAM = "make_channel.py"
# Debian packages of the step that makes it, besides what is installed in images.
PACKAGES = ("ca-certificates", "dpkg-dev", "maven", "python3", "python3-venv")


class ChannelSpec(Spec):
    """A conda channel made from CPython's Maven artefacts, Debian's libraries and PyPI's wheels."""

    image: str
    recipe: str
    tools: str


def applies(resolver: Resolver) -> bool:
    """Return whether conda makes the environment and the sources name no channel."""
    return resolver.pair.conda and not resolver.sources.conda.channels


def resolve(resolver: Resolver) -> Stage:
    """Resolve the recipe and the tools from their locks."""
    spec = ChannelSpec(
        image=fill_placeholders(resolver.sources.images.cpu, cuda=resolver.cell.cuda),
        recipe=resolver.inputs.locks.channel(),
        tools=resolver.inputs.locks.tools(),
    )
    reason = "the sources name no conda channel: one is made from package registries"
    return resolver.make("channel", spec, (), reason)


def make_channel_commands(recipe: str) -> list[list[str]]:
    """Return the commands that download what a recipe names, check it, and build the channel's folder."""
    folders = [f"--{kind}={PARTS}/{kind}" for kind in ("jars", "debs", "wheels")]
    build = ["build", CHANNEL, "--recipe", recipe, *folders, "--cacert", "/run/ca.pem"]
    return [
        python_command(PROGRAM, "fetch", PARTS, "--recipe", recipe),
        list(system.COLLECT_AUTHORITIES),
        python_command(PROGRAM, *build),
    ]


def list_external_inputs(spec: ChannelSpec, _: Cell) -> Mapping[str, ExternalInput]:
    """Return the image and the channel itself: a bundle has the finished folder of packages."""
    return {
        IMAGE: image_input(spec.image),
        CONDA: ExternalInput(kind="channel", name="made", key=(spec.recipe,)),
    }


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    spec = plan.spec("channel", ChannelSpec)
    writer.stage(spec.image, "channel", "A conda channel out of package registries.")
    system.write_debs(writer, spec.image, PACKAGES)
    system.write_tools(writer, spec.tools)
    recipe = "/run/channel.json"
    mounts = [*writer.programs(PROGRAM), writer.bind(writer.file("channel.json", spec.recipe), recipe)]
    writer.run(mounts, system.UPDATE_LISTS, *make_channel_commands(recipe))


STAGE = StageDefinition(
    name="channel",
    resolve=resolve,
    applies=applies,
    scope="cuda",
    programs=(PROGRAM, system.DEBS_PROGRAM, system.TOOLS_PROGRAM),
    modules=(*system.DEBS_MODULES, *system.TOOLS_MODULES),
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
