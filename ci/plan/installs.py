"""Resolve and write down installations of Python packages into the environment, by uv."""

from dataclasses import dataclass

from ci.config.matrix import Cell
from ci.config.pins import TorchPins
from ci.config.sources import fill_placeholders
from ci.plan import requirements
from ci.plan.caches import Cache
from ci.plan.dockerfile_writer import DockerfileWriter, join_words
from ci.plan.externals import PACKAGES, ExternalInput
from ci.plan.inputs import PlanInputs
from ci.plan.paths import PREFIX
from ci.plan.programs import shell_command
from ci.plan.stage import Spec

PROGRAM = "install_packages.sh"
WHEELS_PROGRAM = "install_wheels.sh"
# The files that carry out an installation, besides those of the stage.
MODULES = ("plan/installs.py", "stages/install.py")


class InstallSpec(Spec):
    """Python packages for the environment: requirement lines, with hashes where a lock exists."""

    requirements: str
    hashed: bool
    index: str | None = None
    extra_index: str | None = None
    frozen: bool = False
    cache_gb: float


@dataclass(frozen=True)
class Install:
    """A resolved installation, and a note for the user where its lock does not fit the pins."""

    spec: InstallSpec
    notes: tuple[str, ...] = ()


def resolve_install(
    inputs: PlanInputs, cell: Cell, pins: TorchPins, stage: str, *, nightly: bool = False, locked: bool = True
) -> Install:
    """Resolve what a stage installs: the lines of its lock, or the pins of the matrix if the lock has others."""
    wheels, tag = inputs.sources.wheels, inputs.matrix.cuda[cell.cuda].wheel_tag
    asked = requirements.write_requirements(
        stage, inputs.matrix, pins, tag if wheels.torch else None, nightly=nightly
    )
    text = inputs.locks.requirements(inputs.sources_name, cell.pair_id, stage) if locked else None
    notes: tuple[str, ...] = ()
    if text is not None and not requirements.satisfies(text, asked):
        notes = (f"the lock of stage {stage} is for other pins: installed by version, without hashes",)
        text = None
    spec = InstallSpec(
        requirements=text or asked,
        hashed=text is not None,
        index=wheels.index,
        extra_index=fill_placeholders(wheels.torch, tag=tag) if wheels.torch else None,
        frozen=stage != "torch" and text is None,
        cache_gb=inputs.matrix.limits.uv_cache_gb,
    )
    return Install(spec, notes)


def install_command(spec: InstallSpec, requirements_file: str) -> list[str]:
    """Return the command that installs the requirement lines of a file."""
    options = ["--require-hashes"] if spec.hashed else []
    if spec.extra_index:
        # torch's index also holds copies of common packages; the best version over all indexes is what pip takes.
        options += ["--index", spec.extra_index, "--index-strategy", "unsafe-best-match"]
    frozen, limit = "yes" if spec.frozen else "no", str(int(spec.cache_gb * 1e6))
    return shell_command(PROGRAM, PREFIX, requirements_file, frozen, limit, *options)


def packages_input(stage: str, spec: InstallSpec, cell: Cell) -> ExternalInput:
    """Return the packages of an installation as an external input."""
    return ExternalInput(kind="wheels", name=f"{cell.pair_id}-{stage}", key=(spec.requirements,))


def list_install_inputs(stage: str, spec: InstallSpec, cell: Cell) -> dict[str, ExternalInput]:
    """Return what an installation takes from outside."""
    return {PACKAGES: packages_input(stage, spec, cell)}


def write_install(writer: DockerfileWriter, stage: str, spec: InstallSpec) -> None:
    """Write the instructions of an installation."""
    writer.add_download_arguments()
    mounts = [writer.cache(Cache.UV), *writer.programs(PROGRAM)]
    cache = f"env UV_CACHE_DIR={Cache.UV.path} "
    if spec.hashed:
        lock = "/run/requirements.txt"
        mounts.append(writer.bind(writer.file(f"{stage}.txt", spec.requirements), lock))
        writer.run(mounts, cache + join_words(install_command(spec, lock)))
        return
    # Pins without hashes are few: they come from standard input.
    lines = join_words(["printf", "%s\\n", *spec.requirements.splitlines()])
    writer.run(mounts, f"{lines} | {cache}{join_words(install_command(spec, '-'))}")


def write_wheels_install(writer: DockerfileWriter, stage: str, folder: str) -> None:
    """Write the instruction that installs the wheels in a folder of another stage."""
    target = "/run/wheels"
    mounts = [writer.bind_from(stage, folder, target), *writer.programs(WHEELS_PROGRAM)]
    writer.run(mounts, shell_command(WHEELS_PROGRAM, PREFIX, target))
