"""Plan PyTorch Geometric with its extensions in the environment."""

from collections.abc import Mapping

from ci.config.matrix import Cell
from ci.index.wheels import Wheel
from ci.plan import installs
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import ExternalInput, file_input
from ci.plan.installs import InstallSpec
from ci.plan.plan import Plan
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage


class PygSpec(Spec):
    """PyTorch Geometric with its extensions: some from an index, some compiled, some that cannot be had."""

    install: InstallSpec
    wheels: tuple[Wheel, ...]
    compiled: tuple[str, ...]
    left_out: tuple[str, ...]


def resolve(resolver: Resolver) -> Stage:
    """Resolve the package and where each extension comes from."""
    extensions, install = resolver.pair.extensions, resolver.pair.install("pyg")
    spec = PygSpec(
        install=install.spec,
        wheels=extensions.wheels,
        compiled=extensions.compiled,
        left_out=extensions.missing,
    )
    parents = (resolver.stages["torch"], resolver.stages.get("wheels"))
    notes = (*extensions.notes, *install.notes)
    return resolver.make("pyg", spec, parents, "; ".join(extensions.reasons), notes)


def list_external_inputs(spec: PygSpec, cell: Cell) -> Mapping[str, ExternalInput]:
    """Return the package and the wheels that are downloaded, those by their addresses."""
    files = {wheel.address: file_input(wheel.address) for wheel in spec.wheels}
    return {**installs.list_install_inputs("pyg", spec.install, cell), **files}


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage, and before it the one that downloads wheels."""
    spec = plan.spec("pyg", PygSpec)
    if spec.wheels:
        writer.stage("scratch", "fetched", "PyG's extensions that have a wheel.")
        for wheel in spec.wheels:
            checksum = f"--checksum=sha256:{wheel.sha256} " if wheel.sha256 else ""
            writer.add(f"ADD {checksum}{wheel.address} /wheels/{wheel.filename}")
    writer.stage("torch", "pyg", f"PyTorch Geometric{_describe_left_out(spec)}.")
    installs.write_install(writer, "pyg", spec.install)
    if spec.wheels:
        installs.write_wheels_install(writer, "fetched", "/wheels")
    if spec.compiled:
        installs.write_wheels_install(writer, "wheels", "/opt/wheels")


def _describe_left_out(spec: PygSpec) -> str:
    return (
        f", without {', '.join(spec.left_out)}: no wheel is known, and there is no source"
        if spec.left_out
        else ""
    )


STAGE = StageDefinition(
    name="pyg",
    resolve=resolve,
    scope="pair",
    programs=(installs.PROGRAM, installs.WHEELS_PROGRAM),
    modules=installs.MODULES,
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
