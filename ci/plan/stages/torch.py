"""Plan PyTorch in the environment: torch, torchvision and torchaudio."""

from collections.abc import Mapping

from ci.config.matrix import Cell
from ci.plan import installs
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import ExternalInput
from ci.plan.installs import InstallSpec
from ci.plan.pair import PairInputs
from ci.plan.plan import Plan
from ci.plan.resolver import Resolver
from ci.plan.stage import Stage


def resolve(resolver: Resolver) -> Stage:
    """Resolve the packages."""
    pair = resolver.pair
    below = resolver.stages["conda" if pair.conda else "interpreter"]
    reason = f"torch {pair.pins.torch} built for {_describe_build(pair)}"
    return resolver.make("torch", pair.torch_install.spec, (below,), reason, pair.torch_install.notes)


def _describe_build(pair: PairInputs) -> str:
    if pair.tag != "cpu":
        return f"CUDA {pair.tag.removeprefix('cu')[:2]}.{pair.tag[-1]}"
    return "the CPU" if pair.inputs.sources.wheels.torch else "CUDA, as the package index has it"


def list_external_inputs(spec: InstallSpec, cell: Cell) -> Mapping[str, ExternalInput]:
    """Return the packages."""
    return installs.list_install_inputs("torch", spec, cell)


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    writer.stage("conda", "torch", "PyTorch.")
    installs.write_install(writer, "torch", plan.spec("torch", InstallSpec))


STAGE = StageDefinition(
    name="torch",
    resolve=resolve,
    scope="pair",
    dagger_module="install",
    programs=(installs.PROGRAM,),
    modules=installs.MODULES,
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
