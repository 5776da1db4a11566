"""Plan the environment's files as image layers: exported, trimmed, stripped and compiled to bytecode."""

import json
from typing import Literal

from ci.plan.caches import Cache
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.paths import PACKED, PREFIX
from ci.plan.plan import Plan
from ci.plan.programs import environment_command, python_command
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage
from ci.plan.stages import conda
from ci.plan.system import EPOCH

PROGRAM = "pack_env.py"
COPY_PROGRAM = "copy_env.py"
TRIM_PROGRAM = "trim_env.py"
STRIP_PROGRAM = "strip_libs.py"
START_FILES = ("cslr_images_start.py", "cslr_images_start.pth")  # what Python runs at each start in an image
COMPILE_PROGRAM = "compile_env.py"
LINK_PROGRAM = "link_libraries.py"


class Trim(Spec):
    """A rule of a variant: patterns of paths below the environment that go, and of those that stay.

    With `only_tests` it takes them from folders of packages' own tests only.
    """

    name: str
    remove: tuple[str, ...]
    unless: tuple[str, ...]
    only_tests: bool


class PackSpec(Spec):
    """The environment's files, without what the variant takes out, ready to be layers.

    They are exported by conda-pack, or copied if no conda made them. `site_packages` is the folder of Python packages
    below the prefix. `libraries` are the pins of CUDA's libraries there, which become a layer that all Pythons share;
    None if there are none. `without_bytecode` are patterns of the modules that are not compiled beforehand; None
    compiles none.
    """

    prefix: str
    conda: bool
    site_packages: str
    libraries: str | None
    trims: tuple[Trim, ...]
    strip: Literal["no", "debug", "unneeded"]
    without_bytecode: tuple[str, ...] | None

    @property
    def processed(self) -> bool:
        """Return whether anything is done to a tree before it is a layer."""
        return bool(self.trims) or self.strip != "no" or self.without_bytecode is not None


def resolve(resolver: Resolver) -> Stage:
    """Resolve the rules of the variant; its parents are PyG's stage and the last layer above it."""
    variant, rules = resolver.variant, resolver.matrix.rules
    trims = [
        Trim(name=name, **rules[name].model_dump(include={"remove", "unless", "only_tests"}))
        for name in variant.rules
    ]
    site_packages, libraries = f"lib/python{resolver.cell.python}/site-packages", resolver.pair.libraries
    # Bytecode is for one Python, the layer of CUDA's libraries for all.
    shared = "lib/python3.*/site-packages/nvidia/**"
    spec = PackSpec(
        prefix=PREFIX,
        conda=resolver.pair.conda,
        site_packages=site_packages,
        libraries=libraries,
        trims=tuple(trims),
        strip=variant.strip,
        without_bytecode=(*resolver.matrix.bytecode.without, shared),
    )
    pyg, top = resolver.stages["pyg"], resolver.top
    less = f", for variant {resolver.variant_name}" if trims or spec.strip != "no" else ""
    how = f"as conda-pack exports it for {PREFIX}" if spec.conda else f"as it lies at {PREFIX}"
    parents = (pyg,) if top is pyg else (pyg, top)
    return resolver.make("pack", spec, parents, f"the environment {how}{less}")


def pack_env_command(*options: str) -> list[str]:
    """Return the command of conda-pack; each file gets the same time, so that two exports are the same layer."""
    return ["env", f"SOURCE_DATE_EPOCH={EPOCH}", *python_command(PROGRAM, PREFIX, *options)]


def copy_env_command(out: str) -> list[str]:
    """Return the command that copies an environment that no conda made, each file with the same time."""
    return ["env", f"SOURCE_DATE_EPOCH={EPOCH}", *python_command(COPY_PROGRAM, PREFIX, out)]


def dump_rules(spec: PackSpec) -> str:
    """Return the rules of a variant as `trim_env.py` reads them."""
    return json.dumps([trim.model_dump(mode="json") for trim in spec.trims], indent=2)


def trim_env_command(root: str, rules: str) -> list[str]:
    """Return the command that removes from a tree what a file of rules names."""
    return python_command(TRIM_PROGRAM, root, "--rules", rules)


def strip_libs_command(root: str, mode: str) -> list[str]:
    """Return the command that strips the libraries of a tree."""
    return python_command(STRIP_PROGRAM, root, "--mode", mode)


def list_patterns(patterns: tuple[str, ...]) -> str:
    """Return patterns as a file of them, a line each."""
    return "".join(f"{pattern}\n" for pattern in patterns)


def compile_env_command(root: str, without: str) -> list[str]:
    """Return the command that compiles the modules of a tree, less those of a file of patterns, to bytecode."""
    return environment_command(COMPILE_PROGRAM, root, "--prefix", PREFIX, "--without", f"@{without}")


def link_libraries_command(files: str, links: str) -> list[str]:
    """Return the command that makes the links which stand for CUDA's libraries among Python's packages."""
    command = python_command(LINK_PROGRAM, files, links, "--at", "../../nvidia")  # from site-packages
    return ["env", f"SOURCE_DATE_EPOCH={EPOCH}", *command]


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage that exports the environment up to PyG; `generate/dockerfile.py` writes the layers."""
    writer.stage("pyg", "packed", f"The environment as conda-pack exports it for {PREFIX}.")
    writer.add_download_arguments()
    mounts = [writer.cache(Cache.CONDA), *conda.bind_channel(writer, plan)]
    mounts += writer.programs(conda.PROGRAM, PROGRAM)
    site_packages = f"{PREFIX}/{plan.spec('pack', PackSpec).site_packages}/"
    writer.add(f"COPY {' '.join(f'ci/programs/{name}' for name in START_FILES)} {site_packages}")
    spec = plan.spec("conda", conda.CondaSpec)
    fill = conda.fill_cache_command(spec, Cache.CONDA.path)
    writer.run(mounts, fill, pack_env_command("--dest-prefix", PREFIX, "--to-dir", PACKED))


STAGE = StageDefinition(
    name="pack",
    resolve=resolve,
    scope="cell",
    programs=(
        PROGRAM,
        COPY_PROGRAM,
        TRIM_PROGRAM,
        STRIP_PROGRAM,
        COMPILE_PROGRAM,
        LINK_PROGRAM,
        *START_FILES,
    ),
    modules=("plan/system.py", "stages/layers.py", "stages/trim.py"),
    write_dockerfile=write_dockerfile,
)
