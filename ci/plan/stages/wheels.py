"""Plan the compilation of PyG's extensions that have no wheel."""

from collections.abc import Mapping

from ci.config.matrix import Cell, JobMemory
from ci.plan.caches import Cache
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter, join_words
from ci.plan.externals import SOURCES, ExternalInput
from ci.plan.paths import CUDA_HOME, PREFIX
from ci.plan.plan import Plan
from ci.plan.programs import python_command
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage

PROGRAM = "compile_wheels.py"


class WheelsSpec(Spec):
    """PyG extensions compiled from source."""

    requirements: str
    arch_list: str | None
    job_gb: JobMemory
    full_headers: bool


def applies(resolver: Resolver) -> bool:
    """Return whether any extension must be compiled."""
    return bool(resolver.pair.extensions.compiled)


def resolve(resolver: Resolver) -> Stage:
    """Resolve the source archives and the GPU architectures."""
    pair = resolver.pair
    spec = WheelsSpec(
        requirements=pair.extensions.sdists,
        arch_list=pair.arch_list,
        job_gb=resolver.matrix.limits.job_gb,
        full_headers=resolver.matrix.limits.full_headers,
    )
    for_archs = f" for {spec.arch_list}" if spec.arch_list else " for the CPU"
    reason = f"compile {', '.join(pair.extensions.compiled)}{for_archs}"
    return resolver.make("wheels", spec, (resolver.stages["torch"],), reason)


def compile_wheels_command(spec: WheelsSpec, requirements: str, out: str, jobs: int | None) -> list[str]:
    """Return the command that compiles; without a number of jobs the program takes what the memory allows."""
    words = ["--requirements", requirements, "--python", f"{PREFIX}/bin/python", "--out", out]
    words += ["--job-gb", ",".join(f"{kind}={gb:g}" for kind, gb in spec.job_gb)]
    words += ["--full-headers"] if spec.full_headers else []
    words += ["--arch-list", spec.arch_list, "--cuda-home", CUDA_HOME] if spec.arch_list else ["--cpu"]
    return python_command(PROGRAM, *words, *(["--jobs", str(jobs)] if jobs else []))


def fetch_sources_command(requirements: str, out: str) -> list[str]:
    """Return the command that only downloads the source archives."""
    words = ["--requirements", requirements, "--python", f"{PREFIX}/bin/python", "--out", out]
    return python_command(PROGRAM, *words, "--cpu", "--fetch")


def list_external_inputs(spec: WheelsSpec, _: Cell) -> Mapping[str, ExternalInput]:
    """Return the source archives."""
    return {SOURCES: ExternalInput(kind="sdists", name="pyg", key=(spec.requirements,))}


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    spec = plan.spec("wheels", WheelsSpec)
    writer.stage("torch", "wheels", "PyG's extensions that have no wheel, compiled.")
    writer.add_download_arguments()
    lock, out = "/run/sdists.txt", "/opt/wheels"
    mounts = [writer.cache(Cache.CCACHE), *writer.programs(PROGRAM)]
    mounts.append(writer.bind(writer.file("sdists.txt", spec.requirements), lock))
    command = join_words(compile_wheels_command(spec, lock, out, None))
    writer.run(mounts, f"env CCACHE_DIR={Cache.CCACHE.path} {command}")


STAGE = StageDefinition(
    name="wheels",
    resolve=resolve,
    applies=applies,
    scope="pair",
    programs=(PROGRAM,),
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
