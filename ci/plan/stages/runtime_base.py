"""Plan the runtime base: what JIT compilers need, and no second copy of the CUDA libraries."""

from collections.abc import Mapping

from ci.config.matrix import Cell
from ci.config.sources import fill_placeholders
from ci.plan import system
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import ExternalInput, system_inputs
from ci.plan.paths import CUDA_HOME
from ci.plan.plan import Plan
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage


class RuntimeBaseSpec(Spec):
    """The runtime base: what JIT compiling needs, and no second copy of the CUDA libraries."""

    image: str
    apt: tuple[str, ...]
    account: system.Account
    adds_toolkit: bool


def applies(resolver: Resolver) -> bool:
    """Return whether the cell is a runtime."""
    return resolver.target.kind == "runtime"


def resolve(resolver: Resolver) -> Stage:
    """Resolve the image and its Debian packages, by the variant."""
    images, variant = resolver.sources.images, resolver.variant
    image = fill_placeholders(
        images.cpu if resolver.cell.cuda == "cpu" else images.runtime, cuda=resolver.cell.cuda
    )
    toolkit = resolver.stages.get("toolkit") if variant.toolkit else None
    spec = RuntimeBaseSpec(
        image=image,
        apt=resolver.matrix.apt.runtime if variant.apt is None else variant.apt,
        account=resolver.account,
        adds_toolkit=toolkit is not None,
    )
    holds = "compilers for JIT" if variant.toolkit else "no compilers"
    reason = f"{holds} on {image}; torch's wheels bring CUDA's libraries"
    return resolver.make("runtime-base", spec, (toolkit,), reason)


def list_external_inputs(spec: RuntimeBaseSpec, _: Cell) -> Mapping[str, ExternalInput]:
    """Return the image and its Debian packages."""
    return system_inputs(spec.image, spec.apt)


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    spec = plan.spec("runtime-base", RuntimeBaseSpec)
    comment = "The runtime base: what JIT compiling needs, no environment yet."
    writer.stage(spec.image, "runtime-base", comment)
    system.write_debs(writer, spec.image, spec.apt)
    system.write_user(writer, spec.account)
    for program, path in system.COPY_PACKAGES.items():
        writer.add(f"COPY --chmod=755 ci/programs/{program} {path}")
    if spec.adds_toolkit:
        writer.add(f"COPY --from=toolkit /opt/toolkit {CUDA_HOME}")


STAGE = StageDefinition(
    name="runtime-base",
    resolve=resolve,
    applies=applies,
    scope="cuda",
    programs=(system.DEBS_PROGRAM, system.USER_PROGRAM, *system.COPY_PACKAGES),
    modules=system.DEBS_MODULES,
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
