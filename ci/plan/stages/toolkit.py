"""Plan the CUDA toolkit, trimmed to what compiles extensions: nvcc, headers, the CUDA runtime library."""

from collections.abc import Mapping
from typing import Literal

from ci.config.matrix import Cell
from ci.config.sources import Deb, fill_placeholders
from ci.plan import system
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import COMPILER, PACKAGES, TOOLS, ExternalInput, system_inputs, tools_input
from ci.plan.pair import PairInputs
from ci.plan.paths import CUDA_HOME
from ci.plan.plan import Plan
from ci.plan.programs import python_command
from ci.plan.requirements import satisfies
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage

PROGRAM = "make_toolkit.py"
# Debian packages of the step that makes it, besides what is installed in images.
DEBS = ("build-essential", "ca-certificates", "dpkg-dev", "python3", "python3-venv")


class ToolkitSpec(Spec):
    """A trimmed CUDA toolkit: compiler, headers and the CUDA runtime library.

    `locked` are the wheels with their dependencies, by version and hash; None if no lock fits them.
    """

    provider: Literal["image", "wheels", "hybrid"]
    cuda: str
    compiler: str
    image: str
    tools: str
    wheels: tuple[str, ...]
    locked: str | None
    deb: Deb | None


def applies(resolver: Resolver) -> bool:
    """Return whether the cell has a trimmed toolkit.

    A devel image whose base provides the toolkit has the whole of it: only runtimes need the trimmed one.
    """
    source = resolver.pair.toolkit
    if source is None:
        return False
    return source.provider != "image" or (resolver.target.kind == "runtime" and resolver.variant.toolkit)


def resolve(resolver: Resolver) -> Stage:
    """Resolve the toolkit's source, and its lock if that fits."""
    pair = resolver.pair
    source = pair.toolkit
    assert source is not None, "the stage applies to CUDA only"
    image = fill_placeholders(resolver.sources.images.devel, cuda=pair.cuda)
    spec = ToolkitSpec(
        provider=source.provider,
        cuda=pair.cuda,
        compiler=source.compiler,
        image=image,
        tools=resolver.inputs.locks.tools(),
        wheels=source.wheels,
        locked=_find_lock(pair),
        deb=source.deb,
    )
    reasons = {
        "image": f"compiler and headers out of {image}",
        "wheels": f"nvcc {source.compiler} from wheels",
        "hybrid": f"no nvcc {spec.cuda} in wheels: Debian's nvcc {source.compiler}, {spec.cuda} headers",
    }
    return resolver.make("toolkit", spec, (), reasons[source.provider])


def list_notes(pair: PairInputs) -> tuple[str, ...]:
    """Return what the user should know about the toolkit of a pair."""
    source = pair.toolkit
    if source is None:
        return ()
    unlocked = "the lock of the CUDA toolkit is for other wheels: taken by version, without hashes"
    notes = (source.note, unlocked if source.wheels and not _find_lock(pair) else "")
    return tuple(note for note in notes if note)


def _find_lock(pair: PairInputs) -> str | None:
    wheels = pair.toolkit.wheels if pair.toolkit else ()
    text = pair.inputs.locks.toolkit(pair.inputs.sources_name, pair.cuda) if wheels else None
    return text if text is not None and satisfies(text, "\n".join(wheels)) else None


def make_toolkit_command(spec: ToolkitSpec, lock: str, out: str, deb: str | None = None) -> list[str]:
    """Return the command that makes the toolkit's tree.

    `lock` is the file of its locked wheels, `deb` that of its compiler, if there are any.
    """
    words = [out, "--check"]
    if spec.provider == "image":
        words += ["--installed", CUDA_HOME]
    if spec.locked:
        words += ["--require", lock]
    else:
        words += [word for line in spec.wheels for word in ("--requirement", line)]
    return python_command(PROGRAM, *words, *_compiler_options(spec.deb), *(["--deb", deb] if deb else []))


def fetch_compiler_command(spec: ToolkitSpec, out: str) -> list[str]:
    """Return the command that only downloads the Debian package of the compiler."""
    return python_command(PROGRAM, out, *_compiler_options(spec.deb), "--fetch")


def _compiler_options(deb: Deb | None) -> list[str]:
    if deb is None:
        return []
    package = ["--compiler", f"{deb.package}={deb.version}", "--sha256", deb.sha256]
    return [*package, "--suite", deb.suite, "--components", deb.component]


def list_external_inputs(spec: ToolkitSpec, _: Cell) -> Mapping[str, ExternalInput]:
    """Return the image, its Debian packages, the tools, the wheels and the compiler's package."""
    found = {**system_inputs(spec.image, DEBS), TOOLS: tools_input(spec.image, spec.tools)}
    if spec.wheels:
        key = (spec.locked,) if spec.locked else spec.wheels
        found[PACKAGES] = ExternalInput(kind="wheels", name=f"cu{spec.cuda}-toolkit", key=key)
    if spec.deb:
        key = (spec.deb.package, spec.deb.version, spec.deb.sha256)
        found[COMPILER] = ExternalInput(kind="files", name=spec.deb.package, key=key)
    return found


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    spec = plan.spec("toolkit", ToolkitSpec)
    writer.stage(spec.image, "toolkit", "The CUDA toolkit, trimmed to what compiles extensions.")
    system.write_debs(writer, spec.image, DEBS)
    system.write_tools(writer, spec.tools)
    update = [system.UPDATE_LISTS] if spec.deb else []
    lock = "/run/toolkit.txt"
    locked = [writer.bind(writer.file("toolkit.txt", spec.locked), lock)] if spec.locked else []
    command = make_toolkit_command(spec, lock, "/opt/toolkit")
    writer.run([*writer.programs(PROGRAM), *locked], *update, command)


STAGE = StageDefinition(
    name="toolkit",
    resolve=resolve,
    applies=applies,
    scope="cuda",
    programs=(PROGRAM, system.DEBS_PROGRAM, system.TOOLS_PROGRAM),
    modules=(*system.DEBS_MODULES, *system.TOOLS_MODULES),
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
