"""A pair's images as one multi-stage Dockerfile: the commands of the same plans, for people without Dagger.

The build context is the folder of this repository. What a package index is called, if it is not the usual one, comes
as build arguments (`PIP_INDEX_URL`, `UV_DEFAULT_INDEX`), as does another bundle of CAs. Steps of apt do not know them:
with another index they stay cached.
"""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ci.plan import commands
from ci.plan.caches import Cache, of_image
from ci.plan.commands import PROGRAMS, TOOLS
from ci.plan.environment import LABEL
from ci.plan.planner import Plan
from ci.plan.specs import (
    CUDA_HOME,
    LIBRARIES,
    PREFIX,
    BaseSpec,
    ChannelSpec,
    CondaSpec,
    ImageSpec,
    InstallSpec,
    PackSpec,
    PygSpec,
    RaySpec,
    RuntimeBaseSpec,
    ToolkitSpec,
    WheelsSpec,
)
from ci.util.errors import UserError

HEAD = """\
# syntax=docker/dockerfile:1
# {pair} for people without Dagger, from the `{sources}` sources.
# Not edited by hand: change ci/matrix.toml, then run `./daggerw call generate export --path .`
#   docker build --file {folder}/Dockerfile --target {target} .
"""

PACKED = "/opt/packed"
# What tells pip and uv of another package index.
INDEX = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_TRUSTED_HOST")
# Arguments of the steps that download; the bundle of the system also holds the CA of a site's proxy.
ONLINE = (
    *(f"ARG {name}" for name in INDEX),
    "ARG PIP_CERT=/etc/ssl/certs/ca-certificates.crt",
    "ARG SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
)


@dataclass
class Recipe:
    """A Dockerfile, and the files beside it that its steps read; `known` are files of the repository by their text."""

    folder: str
    known: Mapping[str, str]
    lines: list[str] = field(default_factory=list)
    beside: dict[str, str] = field(default_factory=dict)

    def stage(self, parent: str, name: str, *why: str) -> None:
        """Begin a stage, with a line for each reason."""
        self.lines += ["", *(f"# {line}" for line in why), f"FROM {parent} AS {name}"]

    def add(self, *lines: str) -> None:
        """Add instructions as they are."""
        self.lines += lines

    def run(self, mounts: Sequence[str], *many: Sequence[str]) -> None:
        """Run commands in one step."""
        texts = [command if isinstance(command, str) else shlex.join(command) for command in many]
        body = " \\\n && ".join(texts)
        head = " ".join(["RUN", *(f"{mount} \\\n   " for mount in mounts)])
        self.lines.append(f"{head} {body}")

    def file(self, name: str, text: str) -> str:
        """Return the path, in the build context, of a file with a text."""
        if text in self.known:
            return self.known[text]
        self.beside[name] = text
        return f"{self.folder}/{name}"


def dockerfile(plans: Sequence[Plan], folder: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a folder, `Dockerfile` and what it reads, that build a pair's cells.

    `folder` is where they will lie in the build context; `known` says which files of it have which text already.

    Raises:
        UserError: a plan is for a variant without conda, which would need all stages of the environment twice.
    """
    if bare := next((plan.variant for plan in plans if not plan.spec("pack", PackSpec).conda), None):
        raise UserError(f"Dockerfiles are written for variants with conda: {bare} has none")
    cell = plans[0].cell
    recipe = Recipe(folder, known)
    recipe.add(
        *HEAD.format(
            pair=cell.pair_id,
            sources=dict(plans[0].spec("image", ImageSpec).labels)[f"{LABEL}.sources"],
            folder=folder,
            target=cell.target,
        ).splitlines()
    )
    recipe.add(*(f"# Note: {note}" for note in dict.fromkeys(note for plan in plans for note in plan.notes)))
    told: set[str] = set()
    for plan in plans:
        for stage in plan.stages:
            if stage.name in WRITERS and stage.name not in told:
                told.add(stage.name)
                WRITERS[stage.name](recipe, plan)
    laid: set[str] = set()
    for plan in plans:
        _image(recipe, plan, _files(recipe, plan, laid))
    return {"Dockerfile": "\n".join(recipe.lines) + "\n", **recipe.beside}


# -- what steps have mounted -------------------------------------------------------------------------------


def _cache(cache: Cache, distribution: str = "") -> str:
    return f"--mount=type=cache,id={cache.named(distribution)},target={cache.path},sharing={cache.sharing}"


def _program(name: str) -> str:
    return f"--mount=type=bind,source=ci/programs/{name},target={PROGRAMS}/{name}"


def _bound(source: str, target: str) -> str:
    return f"--mount=type=bind,source={source},target={target}"


def _from(stage: str, source: str, target: str) -> str:
    return f"--mount=type=bind,from={stage},source={source},target={target}"


def _channel(plan: Plan) -> list[str]:
    return [_from("channel", commands.CHANNEL, commands.CHANNEL)] if plan.has("channel") else []


# -- steps that several stages take ------------------------------------------------------------------------


def _debs(recipe: Recipe, image: str, packages: Sequence[str]) -> None:
    caches = [_cache(cache, of_image(image)) for cache in (Cache.APT_ARCHIVES, Cache.APT_LISTS)]
    recipe.run([*caches, _program("install_debs.sh")], commands.shell("install_debs.sh", *packages))


def _tools(recipe: Recipe, text: str) -> None:
    recipe.add(*ONLINE)
    lock = "/run/tools.txt"
    mounts = [_program("install_tools.sh"), _bound(recipe.file("tools.txt", text), lock)]
    recipe.run(mounts, commands.shell("install_tools.sh", TOOLS, lock))


def _user(recipe: Recipe, spec: BaseSpec | RuntimeBaseSpec) -> None:
    recipe.run([_program("add_user.sh")], commands.add_user(spec.account))


def _install(recipe: Recipe, name: str, spec: InstallSpec) -> None:
    recipe.add(*ONLINE)
    mounts = [_cache(Cache.UV), _program("install_packages.sh")]
    cache = f"env UV_CACHE_DIR={Cache.UV.path} "
    if spec.hashed:
        lock = "/run/requirements.txt"
        mounts.append(_bound(recipe.file(f"{name}.txt", spec.requirements), lock))
        recipe.run(mounts, cache + shlex.join(commands.install_packages(spec, lock)))
        return
    # Pins without hashes are few: they are read here, from standard input there.
    lines = shlex.join(["printf", "%s\\n", *spec.requirements.splitlines()])
    recipe.run(mounts, f"{lines} | {cache}{shlex.join(commands.install_packages(spec, '-'))}")


def _wheels_of(recipe: Recipe, stage: str, source: str) -> None:
    target = "/run/wheels"
    mounts = [_from(stage, source, target), _program("install_wheels.sh")]
    recipe.run(mounts, commands.shell("install_wheels.sh", PREFIX, target))


# -- the stages --------------------------------------------------------------------------------------------


def _write_channel(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("channel", ChannelSpec)
    recipe.stage(spec.image, "channel", "A conda channel out of package registries.")
    _debs(recipe, spec.image, commands.CHANNEL_DEBS)
    _tools(recipe, spec.tools)
    given = "/run/channel.json"
    mounts = [_program("make_channel.py"), _bound(recipe.file("channel.json", spec.recipe), given)]
    recipe.run(mounts, commands.REFRESH, *commands.make_channel(given))


def _write_toolkit(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("toolkit", ToolkitSpec)
    recipe.stage(spec.image, "toolkit", "The CUDA toolkit, trimmed to what compiles extensions.")
    _debs(recipe, spec.image, commands.TOOLKIT_DEBS)
    _tools(recipe, spec.tools)
    refresh = [commands.REFRESH] if spec.deb else []
    lock = "/run/toolkit.txt"
    locked = [_bound(recipe.file("toolkit.txt", spec.locked), lock)] if spec.locked else []
    command = commands.make_toolkit(spec, lock, "/opt/toolkit")
    recipe.run([_program("cuda_home.py"), *locked], *refresh, command)


def _write_base(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("base", BaseSpec)
    recipe.stage(spec.image, "base", "The devel base: compilers, toolkit, and the tools for environments.")
    _debs(recipe, spec.image, spec.apt)
    _user(recipe, spec)
    _tools(recipe, spec.tools)
    recipe.add(f"COPY ci/programs/make_env.py {TOOLS}/lib/make_env.py")
    recipe.add(f"COPY --chmod=755 ci/programs/conda_env.sh {TOOLS}/bin/conda-env")
    if spec.adds_toolkit:
        recipe.add(f"COPY --from=toolkit /opt/toolkit {CUDA_HOME}")


def _write_conda(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("conda", CondaSpec)
    recipe.stage("base", "conda", f"The conda environment at {PREFIX}.")
    recipe.add(*ONLINE)
    mounts = [_cache(Cache.CONDA), *_channel(plan), _program("make_env.py")]
    recipe.run(mounts, commands.create_env(spec, Cache.CONDA.path))


def _write_torch(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("torch", InstallSpec)
    recipe.stage("conda", "torch", "PyTorch.")
    _install(recipe, "torch", spec)


def _write_wheels(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("wheels", WheelsSpec)
    recipe.stage("torch", "wheels", "PyG's extensions that have no wheel, compiled.")
    recipe.add(*ONLINE)
    lock, out = "/run/sdists.txt", "/opt/wheels"
    mounts = [_cache(Cache.CCACHE), _program("compile_wheels.py")]
    mounts.append(_bound(recipe.file("sdists.txt", spec.requirements), lock))
    command = shlex.join(commands.compile_wheels(spec, lock, out, None))
    recipe.run(mounts, f"env CCACHE_DIR={Cache.CCACHE.path} {command}")


def _write_pyg(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("pyg", PygSpec)
    if spec.wheels:
        recipe.stage("scratch", "fetched", "PyG's extensions that have a wheel.")
        for wheel in spec.wheels:
            checksum = f"--checksum=sha256:{wheel.sha256} " if wheel.sha256 else ""
            recipe.add(f"ADD {checksum}{wheel.address} /wheels/{wheel.filename}")
    reasons = next(stage.reason for stage in plan.stages if stage.name == "pyg").split("; ")
    recipe.stage("torch", "pyg", "PyTorch Geometric.", *reasons)
    _install(recipe, "pyg", spec.install)
    if spec.wheels:
        _wheels_of(recipe, "fetched", "/wheels")
    if spec.compiled:
        _wheels_of(recipe, "wheels", "/opt/wheels")


def _write_ray(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("ray", RaySpec)
    if spec.wheel:
        recipe.stage("scratch", "ray-wheel", "Ray's nightly wheel.")
        recipe.add(f"ADD {spec.wheel} /wheels/{spec.wheel.rsplit('/', 1)[-1]}")
    elif spec.mode == "source":
        recipe.stage("scratch", "ray-source", "Ray's source.")
        recipe.add(f"ADD {spec.repository}#{spec.ref} /")
        recipe.stage("pyg", "ray-wheel", "Ray's wheel, built from its source.")
        _debs(recipe, "ray-source", commands.RAY_DEBS)
        recipe.add(*ONLINE)
        source = "--mount=type=bind,from=ray-source,source=/,target=/usr/src/ray,rw"
        command = commands.shell("build_ray.sh", "/usr/src/ray", PREFIX, Cache.BAZEL.path, "/wheels")
        programs = [_program(commands.BAZELISK), _program("build_ray.sh")]
        recipe.run([_cache(Cache.BAZEL), source, *programs], command)
    recipe.stage("pyg", "ray", "Ray.")
    if spec.mode != "stable":
        _wheels_of(recipe, "ray-wheel", "/wheels")
    _install(recipe, "ray", spec.install)


def _write_marimo(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("marimo", InstallSpec)
    recipe.stage("ray" if plan.has("ray") else "pyg", "marimo", "marimo.")
    _install(recipe, "marimo", spec)


def _write_runtime_base(recipe: Recipe, plan: Plan) -> None:
    spec = plan.spec("runtime-base", RuntimeBaseSpec)
    recipe.stage(
        spec.image, "runtime-base", "The runtime base: what JIT compiling needs, no environment yet."
    )
    _debs(recipe, spec.image, spec.apt)
    _user(recipe, spec)
    if spec.adds_toolkit:
        recipe.add(f"COPY --from=toolkit /opt/toolkit {CUDA_HOME}")


def _write_pack(recipe: Recipe, plan: Plan) -> None:
    recipe.stage("pyg", "packed", f"The environment as conda-pack exports it for {PREFIX}.")
    recipe.add(*ONLINE)
    mounts = [_cache(Cache.CONDA), *_channel(plan), _program("make_env.py"), _program("pack_env.py")]
    conda = plan.spec("conda", CondaSpec)
    packing = commands.pack_env("--dest-prefix", PREFIX, "--to-dir", PACKED)
    recipe.run(mounts, commands.fill_cache(conda, Cache.CONDA.path), packing)


WRITERS: Mapping[str, Callable[[Recipe, Plan], None]] = {
    "channel": _write_channel,
    "toolkit": _write_toolkit,
    "base": _write_base,
    "conda": _write_conda,
    "torch": _write_torch,
    "wheels": _write_wheels,
    "pyg": _write_pyg,
    "ray": _write_ray,
    "marimo": _write_marimo,
    "runtime-base": _write_runtime_base,
    "pack": _write_pack,
}


# -- images ------------------------------------------------------------------------------------------------


def _files(recipe: Recipe, plan: Plan, told: set[str]) -> str:
    """Lay the environment's files over a base, a layer for each of what images share; return the last stage."""
    kind = plan.spec("image", ImageSpec).kind
    below, parent = "pyg", f"{kind}-files"
    if parent not in told:
        told.add(parent)
        source = _trimmed(recipe, plan, "packed", PACKED, told)
        rest = _split(recipe, plan, source, told)
        recipe.stage("base" if kind == "devel" else "runtime-base", parent, f"The files of {kind} images.")
        if rest != source:
            recipe.run(
                [], ["mkdir", "-p", LIBRARIES]
            )  # in a step of its own: its time is not in the next layer
            recipe.add(f"COPY --from={source} {_nvidia(plan)} {LIBRARIES}")
        recipe.add(f"COPY --from={rest} {PACKED} {PREFIX}")
    for name in ("ray", "marimo"):
        if not plan.has(name):
            continue
        added, out = f"{name}-added", "/opt/added"
        if added not in told:
            told.add(added)
            recipe.stage(name, added, f"What {name} adds to the environment.")
            mounts = [_from(below, PREFIX, "/run/below"), _program("added_files.py")]
            recipe.run(mounts, commands.added_files("/run/below", out))
        files = f"{name}-{kind}-files"
        if files not in told:
            told.add(files)
            source = _trimmed(recipe, plan, added, out, told)
            recipe.stage(parent, files, f"The files of {kind} images with {name}.")
            recipe.add(f"COPY --from={source} {out} {PREFIX}")
        below, parent = name, files
    return parent


def _nvidia(plan: Plan) -> str:
    return f"{PACKED}/{plan.spec('pack', PackSpec).site_packages}/nvidia"


def _split(recipe: Recipe, plan: Plan, stage: str, told: set[str]) -> str:
    """Put a link where CUDA's libraries are, which are a layer of their own; return the stage that has it."""
    if not plan.spec("pack", PackSpec).libraries:
        return stage
    name = f"{stage}-rest"
    if name not in told:
        told.add(name)
        recipe.stage(
            stage, name, "The same with a link where CUDA's libraries are: they are a layer of their own."
        )
        recipe.run([], ["rm", "-r", _nvidia(plan)], ["ln", "-s", "../../nvidia", _nvidia(plan)])
    return name


def _trimmed(recipe: Recipe, plan: Plan, stage: str, root: str, told: set[str]) -> str:
    """Take out of a tree what the variant takes out; return the stage that has it then."""
    spec = plan.spec("pack", PackSpec)
    if not spec.trims and spec.strip == "no":
        return stage
    name = f"{stage}-{plan.variant}"
    if name not in told:
        told.add(name)
        recipe.stage(stage, name, f"The same for variant {plan.variant}.")
        if spec.trims:
            given = "/run/rules.json"
            mounts = [
                _program("trim_env.py"),
                _bound(recipe.file("rules.json", commands.trim_rules(spec)), given),
            ]
            recipe.run(mounts, commands.trim_env(root, given))
        if spec.strip != "no":
            recipe.run([_program("strip_libs.py")], commands.strip_libs(root, spec.strip))
    return name


def _image(recipe: Recipe, plan: Plan, parent: str) -> None:
    spec = plan.spec("image", ImageSpec)
    recipe.stage(parent, plan.cell.target, plan.id)
    for word, pairs in (("ENV", spec.env), ("LABEL", spec.labels)):
        recipe.add(f"{word} " + " \\\n    ".join(f"{name}={json.dumps(value)}" for name, value in pairs))
    recipe.add(f"WORKDIR {spec.account.workdir}")
    recipe.add(f"ENTRYPOINT {json.dumps(list(spec.entrypoint))}", f"CMD {json.dumps(list(spec.args))}")
    if spec.port:
        recipe.add(f"EXPOSE {spec.port}")
    if spec.kind == "runtime":
        recipe.add(f"USER {spec.account.user}")
