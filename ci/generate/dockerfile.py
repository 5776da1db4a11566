"""Write a pair's images as one multi-stage Dockerfile: the commands of the same plans, for people without Dagger.

The build context is the folder of this repository. Another package index comes as build arguments (`PIP_INDEX_URL`,
`UV_DEFAULT_INDEX`), as does another bundle of CAs. Steps of apt do not read them: with another index they stay cached.
"""

import json
from collections.abc import Mapping, Sequence

from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.image_config import LABEL
from ci.plan.paths import LIBRARIES, PACKED, PREFIX
from ci.plan.plan import Plan
from ci.plan.programs import python_command
from ci.plan.stages import STAGES
from ci.plan.stages.image import ImageSpec
from ci.plan.stages.pack import (
    STRIP_PROGRAM,
    TRIM_PROGRAM,
    PackSpec,
    dump_rules,
    strip_libs_command,
    trim_env_command,
)
from ci.util.errors import UserError
from ci.util.escape import escape_dockerfile, escape_terminal

HEAD = """\
# syntax=docker/dockerfile:1
# {pair} for people without Dagger, from the `{sources}` sources.
# Not edited by hand: change ci/matrix.toml, then run `./daggerw call generate export --path .`
#   docker build --file {folder}/Dockerfile --target {target} .
"""

CHANGES_PROGRAM = "copy_changes.py"
_ADDED = "/opt/added"
_BELOW = "/run/below"


def dockerfile(plans: Sequence[Plan], folder: str, paths_by_text: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a folder, `Dockerfile` and those that its steps read, that build a pair's cells.

    `folder` is their place in the build context; `paths_by_text` are files of the context by their text.

    Raises:
        UserError: a plan is for a variant without conda, which would need all stages of the environment twice.
    """
    if bare := next((plan.variant for plan in plans if not plan.spec("pack", PackSpec).conda), None):
        raise UserError(f"Dockerfiles are written for variants with conda: {bare} has none")
    writer = DockerfileWriter(folder, paths_by_text)
    cell = plans[0].cell
    head = HEAD.format(
        pair=cell.pair_id,
        sources=plans[0].spec("image", ImageSpec).all_labels[f"{LABEL}.sources"],
        folder=folder,
        target=cell.target,
    )
    writer.add(*head.splitlines())
    writer.add(
        *(
            f"# Note: {escape_terminal(note)}"
            for note in dict.fromkeys(note for plan in plans for note in plan.notes)
        )
    )
    for plan in plans:
        for stage in plan.stages:
            write = STAGES[stage.name].write_dockerfile
            if write and writer.begin(stage.name):
                write(writer, plan)
    for plan in plans:
        _write_image(writer, plan, _write_files(writer, plan))
    return {"Dockerfile": "\n".join(writer.lines) + "\n", **writer.beside}


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
    writer.stage("base" if kind == "devel" else "runtime-base", name, f"The files of {kind} images.")
    if rest != source:
        # In a step of its own: its time is not in the next layer.
        writer.run([], ["mkdir", "-p", LIBRARIES])
        writer.add(f"COPY --from={source} {_nvidia_folder(plan)} {LIBRARIES}")
    writer.add(f"COPY --from={rest} {PACKED} {PREFIX}")


def _nvidia_folder(plan: Plan) -> str:
    return f"{PACKED}/{plan.spec('pack', PackSpec).site_packages}/nvidia"


def _write_split(writer: DockerfileWriter, plan: Plan, stage: str) -> str:
    """Put a link in the place of CUDA's libraries, which are a layer of their own; return the stage that has it."""
    if not plan.spec("pack", PackSpec).libraries:
        return stage
    name = f"{stage}-rest"
    if writer.begin(name):
        comment = "The same with a link where CUDA's libraries are: they are a layer of their own."
        writer.stage(stage, name, comment)
        folder = _nvidia_folder(plan)
        writer.run([], ["rm", "-r", folder], ["ln", "-s", "../../nvidia", folder])
    return name


def _write_trimmed(writer: DockerfileWriter, plan: Plan, stage: str, root: str) -> str:
    """Remove from a tree what the variant removes; return the stage that has the rest."""
    spec = plan.spec("pack", PackSpec)
    if not spec.trims and spec.strip == "no":
        return stage
    name = f"{stage}-{plan.variant}"
    if writer.begin(name):
        writer.stage(stage, name, f"The same for variant {plan.variant}.")
        if spec.trims:
            rules = "/run/rules.json"
            file = writer.bind(writer.file("rules.json", dump_rules(spec)), rules)
            writer.run([*writer.programs(TRIM_PROGRAM), file], trim_env_command(root, rules))
        if spec.strip != "no":
            writer.run(writer.programs(STRIP_PROGRAM), strip_libs_command(root, spec.strip))
    return name


def _write_image(writer: DockerfileWriter, plan: Plan, parent: str) -> None:
    spec = plan.spec("image", ImageSpec)
    writer.stage(parent, plan.cell.target, plan.id)
    for word, pairs in (("ENV", spec.env), ("LABEL", tuple(spec.all_labels.items()))):
        writer.add(
            f"{word} " + " \\\n    ".join(f"{name}={escape_dockerfile(value)}" for name, value in pairs)
        )
    writer.add(f"WORKDIR {spec.account.workdir}")
    writer.add(f"ENTRYPOINT {json.dumps(list(spec.entrypoint))}", f"CMD {json.dumps(list(spec.args))}")
    if spec.port:
        writer.add(f"EXPOSE {spec.port}")
    if spec.kind == "runtime":
        writer.add(f"USER {spec.account.user}")
