"""Write images as one multi-stage Dockerfile: the commands of the same plans, for people without Dagger.

The build context is the folder of this repository. Another package index comes as build arguments (`PIP_INDEX_URL`,
`UV_DEFAULT_INDEX`), as does another bundle of CAs. Steps of apt do not read them: with another index they stay cached.
"""

import json
from collections.abc import Mapping, Sequence

from ci.plan import system
from ci.plan.dockerfile_writer import DockerfileWriter, quote_value
from ci.plan.image_config import LABEL
from ci.plan.paths import LIBRARIES, PACKED, PREFIX
from ci.plan.plan import Plan
from ci.plan.programs import python_command
from ci.plan.stages import STAGES
from ci.plan.stages.image import NAMES_PROGRAM, ImageSpec, name_libraries_command
from ci.plan.stages.pack import (
    COMPILE_PROGRAM,
    LINK_PROGRAM,
    STRIP_PROGRAM,
    TRIM_PROGRAM,
    PackSpec,
    compile_env_command,
    dump_rules,
    link_libraries_command,
    list_patterns,
    strip_libs_command,
    trim_env_command,
)
from ci.util.errors import UserError
from ci.util.escape import escape_terminal

CHANGES_PROGRAM = "copy_changes.py"
_ADDED = "/opt/added"
_BELOW = "/run/below"
_LINKS = "/opt/links"
_NAMES = "/opt/names"


def dockerfile(plans: Sequence[Plan], folder: str, paths_by_text: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a folder, `Dockerfile` and those that its steps read, that build a pair's cells.

    `folder` is their place in the build context; `paths_by_text` are files of the context by their text.

    Raises:
        UserError: a plan is for a variant without conda, which would need all stages of the environment twice.
    """
    writer = write_stages(plans, folder, paths_by_text)
    pair = plans[0].cell.pair_id
    about = [f"{pair} from the `{sources_of(plans)}` sources."]
    return {"Dockerfile": compose(f"{folder}/Dockerfile", plans, about, {}, writer), **writer.beside}


def compose(
    path: str,
    plans: Sequence[Plan],
    about: Sequence[str],
    defaults: Mapping[str, str],
    writer: DockerfileWriter,
) -> str:
    """Return the text of a Dockerfile: what it is about, its arguments, its stages."""
    # What PyG's stage has to say of pages that could not be read is of the machine that wrote the file.
    passing = {note for plan in plans for note in plan.stage("pyg").notes}
    notes = dict.fromkeys(note for plan in plans for note in plan.notes if note not in passing)
    lines = (
        *("# syntax=docker/dockerfile:1", *(f"# {line}" for line in about)),
        f"#   docker build --file {path} --target {plans[0].cell.target} .",
        *(f"# Note: {escape_terminal(note)}" for note in notes),
        "# Not edited by hand: change ci/matrix.toml, then run `./daggerw call generate export --path .`",
        *(["", *(_declare(name, value) for name, value in defaults.items())] if defaults else []),
        *writer.lines,
    )
    return "\n".join(lines) + "\n"


def _declare(name: str, value: str) -> str:
    return f"ARG {name}={json.dumps(value) if ' ' in value else value}"


def sources_of(plans: Sequence[Plan]) -> str:
    """Return the name of the sources that plans are for."""
    return plans[0].spec("image", ImageSpec).all_labels[f"{LABEL}.sources"]


def write_stages(plans: Sequence[Plan], folder: str, paths_by_text: Mapping[str, str]) -> DockerfileWriter:
    """Write the stages that build the images of plans, and the images.

    Raises:
        UserError: a plan is for a variant without conda, which would need all stages of the environment twice.
    """
    if bare := next((plan.variant for plan in plans if not plan.spec("pack", PackSpec).conda), None):
        raise UserError(f"Dockerfiles are written for variants with conda: {bare} has none")
    writer = DockerfileWriter(folder, paths_by_text)
    for plan in plans:
        for stage in plan.stages:
            write = STAGES[stage.name].write_dockerfile
            if write and writer.begin(stage.name):
                write(writer, plan)
    settings: dict[str, ImageSpec] = {}
    for plan in plans:
        spec = plan.spec("image", ImageSpec)
        parent = _write_files(writer, plan)
        below = settings.setdefault(spec.kind, spec.model_copy(update={"labels": (), "port": None}))
        writer.stage(parent, plan.cell.target, f"The image {plan.cell.target}.")
        _write_settings(writer, spec, below)
    return writer


def _write_files(writer: DockerfileWriter, plan: Plan) -> str:
    """Copy the environment's files over a base, a layer for each part that images share; return the last stage."""
    kind = plan.spec("image", ImageSpec).kind
    parent = f"{kind}-files"
    if writer.begin(parent):
        _write_environment_files(writer, plan, parent)
    for stage in plan.stages:
        if not STAGES[stage.name].layer:
            continue
        name, below, added = stage.name, stage.parents[0].name, f"{stage.name}-added"
        if writer.begin(added):
            writer.stage(name, added, f"What {name} adds to the environment.")
            mounts = [writer.bind_from(below, PREFIX, _BELOW), *writer.programs(CHANGES_PROGRAM)]
            writer.run(mounts, python_command(CHANGES_PROGRAM, _BELOW, PREFIX, _ADDED))
        files = f"{name}-{kind}-files"
        if writer.begin(files):
            source = _write_trimmed(writer, plan, added, _ADDED)
            writer.stage(parent, files, f"The files of {kind} images with {name}.")
            writer.add(f"COPY --from={source} {_ADDED} {PREFIX}")
        parent = files
    return parent


def _write_environment_files(writer: DockerfileWriter, plan: Plan, name: str) -> None:
    """Copy the environment up to PyG over a base, CUDA's libraries first."""
    kind = plan.spec("image", ImageSpec).kind
    source = _write_trimmed(writer, plan, "packed", PACKED)
    rest = _write_split(writer, plan, source)
    base = "base" if kind == "devel" else "runtime-base"
    names = _write_names(writer, plan, source, base)
    spec = plan.spec("image", ImageSpec)
    writer.stage(base, name, f"The files of {kind} images.")
    _write_pairs(writer, "ENV", spec.env, {})
    system.write_profile(writer, spec.env)
    if rest != source:
        # In a step of its own: its time is not in the next layer.
        writer.run([], ["mkdir", "-p", LIBRARIES])
        writer.add(f"COPY --from={source} {_nvidia_folder(plan)} {LIBRARIES}")
        writer.add(*([f"COPY --from={names} {_NAMES} /"] if names else []))
    writer.add(f"COPY --from={rest} {PACKED} {PREFIX}")
    # Here for all images of a kind: those above inherit them, and add their own.
    _write_settings(writer, spec.model_copy(update={"labels": (), "port": None}), None)


def _write_names(writer: DockerfileWriter, plan: Plan, stage: str, base: str) -> str:
    """Link CUDA's libraries to where compilers look; return the stage that has the links, empty if none has."""
    if not plan.spec("image", ImageSpec).names_libraries:
        return ""
    name = f"{base}-names"
    if writer.begin(name):
        writer.stage("base", name, f"Names of CUDA's libraries for {base}, where compilers look.")
        mounts = [
            writer.bind_from(stage, _nvidia_folder(plan), "/run/nvidia"),
            writer.bind_from(base, "/", "/run/base"),
        ]
        command = name_libraries_command("/run/nvidia", _NAMES, "/run/base")
        writer.run([*writer.programs(NAMES_PROGRAM), *mounts], command)
    return name


def _nvidia_folder(plan: Plan) -> str:
    return f"{PACKED}/{plan.spec('pack', PackSpec).site_packages}/nvidia"


def _write_split(writer: DockerfileWriter, plan: Plan, stage: str) -> str:
    """Put links in the place of CUDA's libraries, which are a layer of their own; return the stage that has them."""
    if not plan.spec("pack", PackSpec).libraries:
        return stage
    name = f"{stage}-rest"
    if writer.begin(name):
        comment = "The same with links where CUDA's libraries are: they are a layer of their own."
        writer.stage(stage, name, comment)
        folder = _nvidia_folder(plan)
        link = link_libraries_command(folder, _LINKS)
        writer.run(writer.programs(LINK_PROGRAM), link, ["rm", "-r", folder], ["mv", _LINKS, folder])
    return name


def _write_trimmed(writer: DockerfileWriter, plan: Plan, stage: str, root: str) -> str:
    """Remove from a tree what the variant removes, and compile the rest; return the stage that has it."""
    spec = plan.spec("pack", PackSpec)
    if not spec.processed:
        return stage
    name = f"{stage}-{plan.variant}"
    if writer.begin(name):
        writer.stage(stage, name, f"The same without what the variant {plan.variant} leaves out.")
        if spec.trims:
            rules = "/run/rules.json"
            file = writer.bind(writer.file("rules.json", dump_rules(spec)), rules)
            writer.run([*writer.programs(TRIM_PROGRAM), file], trim_env_command(root, rules))
        if spec.strip != "no":
            writer.run(writer.programs(STRIP_PROGRAM), strip_libs_command(root, spec.strip))
        if spec.without_bytecode is not None:
            without = "/run/bytecode.txt"
            file = writer.bind(writer.file("bytecode.txt", list_patterns(spec.without_bytecode)), without)
            writer.run([*writer.programs(COMPILE_PROGRAM), file], compile_env_command(root, without))
    return name


def _write_pairs(
    writer: DockerfileWriter, word: str, pairs: Sequence[tuple[str, str]], known: Mapping[str, str]
) -> None:
    """Write variables or labels that are not known below."""
    own = [f"{name}={quote_value(value)}" for name, value in pairs if known.get(name) != value]
    if own:
        writer.add(f"{word} " + " \\\n    ".join(own))


def _write_settings(writer: DockerfileWriter, spec: ImageSpec, below: ImageSpec | None) -> None:
    """Write the configuration of an image but its variables, less what it inherits from the one below."""
    _write_pairs(writer, "LABEL", tuple(spec.all_labels.items()), below.all_labels if below else {})
    if not below:
        writer.add(f"WORKDIR {spec.account.workdir}", f"ENTRYPOINT {json.dumps(list(spec.entrypoint))}")
    if not below or below.args != spec.args:
        writer.add(f"CMD {json.dumps(list(spec.args))}")
    if spec.port:
        writer.add(f"EXPOSE {spec.port}")
    if not below and spec.kind == "runtime":
        writer.add(f"USER {spec.account.number}")
