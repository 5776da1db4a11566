"""Plan the conda environment, made at the prefix where every image has it."""

from collections.abc import Mapping, Sequence

from ci.config.matrix import Cell
from ci.plan.caches import Cache
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import CONDA, ExternalInput
from ci.plan.paths import CHANNEL, PREFIX
from ci.plan.plan import Plan
from ci.plan.programs import python_command
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage

PROGRAM = "make_env.py"


class CondaSpec(Spec):
    """A conda environment at its final prefix. No channel address means the channel made by the module."""

    prefix: str
    channels: tuple[str, ...]
    packages: tuple[str, ...]
    glibc: str
    cuda: str | None


def applies(resolver: Resolver) -> bool:
    """Return whether conda makes the environment."""
    return resolver.pair.conda


def resolve(resolver: Resolver) -> Stage:
    """Resolve the channels and the virtual packages of the solver."""
    cuda, python = resolver.cell.cuda, resolver.cell.python
    spec = CondaSpec(
        prefix=PREFIX,
        channels=resolver.sources.conda.channels,
        packages=(f"python={python}.*", "pip"),
        glibc=resolver.sources.images.glibc,
        cuda=None if cuda == "cpu" else ".".join(cuda.split(".")[:2]),
    )
    parents = (resolver.stages["base"], resolver.stages.get("channel"))
    return resolver.make("conda", spec, parents, f"CPython {python} at {PREFIX}")


def create_env_command(spec: CondaSpec, cache: str) -> list[str]:
    """Return the command that creates the environment; `cache` is the folder of conda's packages."""
    words = ["create", "--prefix", spec.prefix, "--pkgs-cache", cache]
    words += ["--glibc", spec.glibc, *(["--cuda", spec.cuda] if spec.cuda else [])]
    return python_command(PROGRAM, *words, "--channel", *_list_channels(spec), "--spec", *spec.packages)


def fill_cache_command(spec: CondaSpec, cache: str) -> list[str]:
    """Return the command that downloads the environment's packages into conda's folder again."""
    words = ["fill-cache", "--prefix", spec.prefix, "--pkgs-cache", cache]
    return python_command(PROGRAM, *words, "--channel", *_list_channels(spec))


def _list_channels(spec: CondaSpec) -> Sequence[str]:
    return spec.channels or (f"file://{CHANNEL}",)


def list_external_inputs(spec: CondaSpec, cell: Cell) -> Mapping[str, ExternalInput]:
    """Return the packages of the sources' channels, if they name any."""
    if not spec.channels:
        return {}
    key = (*spec.channels, *spec.packages, spec.glibc, spec.cuda or "cpu")
    return {CONDA: ExternalInput(kind="channel", name=f"py{cell.python}", key=key)}


def bind_channel(writer: DockerfileWriter, plan: Plan) -> list[str]:
    """Return the mount of the channel that is made here, if there is one."""
    return [writer.bind_from("channel", CHANNEL, CHANNEL)] if plan.has("channel") else []


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    spec = plan.spec("conda", CondaSpec)
    writer.stage("base", "conda", f"The conda environment at {PREFIX}.")
    writer.add_download_arguments()
    mounts = [writer.cache(Cache.CONDA), *bind_channel(writer, plan), *writer.programs(PROGRAM)]
    writer.run(mounts, create_env_command(spec, Cache.CONDA.path))


STAGE = StageDefinition(
    name="conda",
    resolve=resolve,
    applies=applies,
    scope="pair",
    programs=(PROGRAM,),
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
