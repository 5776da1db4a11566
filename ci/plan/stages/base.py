"""Plan the devel base: compilers, the CUDA toolkit, and the tools that make environments."""

from collections.abc import Mapping

from ci.config.matrix import Cell
from ci.config.sources import fill_placeholders
from ci.plan import system
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import TOOLS as TOOLS_INPUT
from ci.plan.externals import ExternalInput, system_inputs, tools_input
from ci.plan.paths import CUDA_HOME, TOOLS
from ci.plan.plan import Plan
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage

# People get `conda-env create|install|list`, which needs no conda: the program that makes the environment.
CONDA_ENV = {"make_env.py": f"{TOOLS}/lib/make_env.py", "conda_env.sh": f"{TOOLS}/bin/conda-env"}


class BaseSpec(Spec):
    """The devel base: compilers, CUDA toolkit, and the tools that make environments."""

    image: str
    apt: tuple[str, ...]
    tools: str
    account: system.Account
    adds_toolkit: bool


def resolve(resolver: Resolver) -> Stage:
    """Resolve the base image and what is added to it."""
    images, source = resolver.sources.images, resolver.pair.toolkit
    name = images.cpu if resolver.cell.cuda == "cpu" else images.devel
    # An image that provides the toolkit has the whole of it: nothing is copied over it.
    adds = source is not None and source.provider != "image"
    spec = BaseSpec(
        image=fill_placeholders(name, cuda=resolver.cell.cuda),
        apt=resolver.matrix.apt.devel,
        tools=resolver.inputs.locks.tools(),
        account=resolver.account,
        adds_toolkit=adds,
    )
    parents = (resolver.stages["toolkit"],) if adds else ()
    return resolver.make("base", spec, parents, f"compilers and tools on {spec.image}")


def list_external_inputs(spec: BaseSpec, _: Cell) -> Mapping[str, ExternalInput]:
    """Return the image, its Debian packages and the tools."""
    return {**system_inputs(spec.image, spec.apt), TOOLS_INPUT: tools_input(spec.image, spec.tools)}


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    spec = plan.spec("base", BaseSpec)
    writer.stage(spec.image, "base", "The devel base: compilers, toolkit, and the tools for environments.")
    system.write_debs(writer, spec.image, spec.apt)
    system.write_user(writer, spec.account)
    system.write_tools(writer, spec.tools)
    for program, path in {**CONDA_ENV, **system.COPY_PACKAGES}.items():
        mode = "--chmod=755 " if program.endswith(".sh") else ""
        writer.add(f"COPY {mode}ci/programs/{program} {path}")
    if spec.adds_toolkit:
        writer.add(f"COPY --from=toolkit /opt/toolkit {CUDA_HOME}")


STAGE = StageDefinition(
    name="base",
    resolve=resolve,
    scope="cuda",
    programs=(
        *CONDA_ENV,
        *system.COPY_PACKAGES,
        system.DEBS_PROGRAM,
        system.TOOLS_PROGRAM,
        system.USER_PROGRAM,
    ),
    modules=(*system.DEBS_MODULES, *system.TOOLS_MODULES),
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
