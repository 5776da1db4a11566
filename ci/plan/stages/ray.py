"""Plan Ray in the environment: a release, a nightly wheel, or its source."""

from collections.abc import Mapping
from typing import Literal

from ci.config.matrix import Cell
from ci.config.sources import fill_placeholders
from ci.plan import installs, system
from ci.plan.caches import Cache
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import ExternalInput, file_input
from ci.plan.installs import InstallSpec
from ci.plan.paths import PREFIX
from ci.plan.plan import Plan
from ci.plan.programs import shell_command
from ci.plan.requirements import name_ray_nightly_wheel
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage
from ci.util.errors import UserError

PROGRAM = "build_ray.sh"
BAZELISK = "bazelisk"  # the folder of its lock, beside the programs
DEBS = ("nodejs", "npm")  # Debian packages of the step that builds Ray from source


class RaySpec(Spec):
    """Ray on top of the PyTorch environment: a release, a nightly wheel, or its source."""

    mode: Literal["stable", "nightly", "source"]
    install: InstallSpec
    wheel: str | None = None
    repository: str | None = None
    ref: str | None = None


def applies(resolver: Resolver) -> bool:
    """Return whether the target has Ray."""
    return "ray" in resolver.target.layers


def resolve(resolver: Resolver) -> Stage:
    """Resolve where Ray comes from.

    Raises:
        UserError: the sources have no nightly wheels, or no repository.
    """
    resolvers = {"stable": _resolve_release, "nightly": _resolve_nightly, "source": _resolve_source}
    return resolvers[resolver.options.ray](resolver)


def _resolve_release(resolver: Resolver) -> Stage:
    install = resolver.pair.install("ray")
    reason = f"Ray {resolver.matrix.ray.version} from the package index"
    return _make(resolver, RaySpec(mode="stable", install=install.spec), reason, install.notes)


def _resolve_nightly(resolver: Resolver) -> Stage:
    template = resolver.sources.wheels.ray_nightly
    if not template:
        name = resolver.inputs.sources_name
        raise UserError(f"the {name} sources have no nightly Ray wheels; accepted here: stable")
    wheel = name_ray_nightly_wheel(resolver.matrix.ray.nightly, resolver.cell.abi)
    install = resolver.pair.install("ray", locked=False)
    spec = RaySpec(mode="nightly", install=install.spec, wheel=fill_placeholders(template, wheel=wheel))
    return _make(resolver, spec, f"Ray nightly: {wheel}", install.notes)


def _resolve_source(resolver: Resolver) -> Stage:
    repository, version = resolver.sources.wheels.ray_source, resolver.matrix.ray.version
    if not repository:
        name = resolver.inputs.sources_name
        raise UserError(f"the {name} sources have no Ray repository; accepted here: stable")
    install = resolver.pair.install("ray", locked=False)
    spec = RaySpec(mode="source", install=install.spec, repository=repository, ref=f"ray-{version}")
    return _make(resolver, spec, f"Ray {version} built from source with bazel", install.notes)


def _make(resolver: Resolver, spec: RaySpec, reason: str, notes: tuple[str, ...]) -> Stage:
    return resolver.make("ray", spec, (resolver.top,), reason, notes)


def list_external_inputs(spec: RaySpec, cell: Cell) -> Mapping[str, ExternalInput]:
    """Return the packages, and the nightly wheel by its address.

    Raises:
        UserError: Ray is built from source.
    """
    if spec.mode == "source":
        raise UserError(
            "Ray built from source goes into no bundle: bazel downloads what it needs itself; "
            "accepted here: stable, nightly"
        )
    files = {spec.wheel: file_input(spec.wheel)} if spec.wheel else {}
    return {**installs.list_install_inputs("ray", spec.install, cell), **files}


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage, and before it those that download or build its wheel."""
    spec = plan.spec("ray", RaySpec)
    below = plan.stage("ray").parents[0].name
    if spec.wheel:
        writer.stage("scratch", "ray-wheel", "Ray's nightly wheel.")
        writer.add(f"ADD {spec.wheel} /wheels/{spec.wheel.rsplit('/', 1)[-1]}")
    elif spec.mode == "source":
        writer.stage("scratch", "ray-source", "Ray's source.")
        writer.add(f"ADD {spec.repository}#{spec.ref} /")
        writer.stage(below, "ray-wheel", "Ray's wheel, built from its source.")
        system.write_debs(writer, "ray-source", DEBS)
        writer.add_download_arguments()
        source = "--mount=type=bind,from=ray-source,source=/,target=/usr/src/ray,rw"
        command = shell_command(PROGRAM, "/usr/src/ray", PREFIX, Cache.BAZEL.path, "/wheels")
        writer.run([writer.cache(Cache.BAZEL), source, *writer.programs(BAZELISK, PROGRAM)], command)
    writer.stage(below, "ray", "Ray.")
    if spec.mode != "stable":
        installs.write_wheels_install(writer, "ray-wheel", "/wheels")
    installs.write_install(writer, "ray", spec.install)


STAGE = StageDefinition(
    name="ray",
    resolve=resolve,
    applies=applies,
    scope="pair",
    layer=True,
    programs=(PROGRAM, BAZELISK, system.DEBS_PROGRAM, installs.PROGRAM, installs.WHEELS_PROGRAM),
    modules=(*installs.MODULES, *system.DEBS_MODULES),
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
