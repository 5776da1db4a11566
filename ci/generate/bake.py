"""Render the matrix for `docker buildx bake`: cells as targets, in groups."""

import json
from collections.abc import Mapping, Sequence

from ci.config.matrix import Matrix
from ci.config.selection import match_cells
from ci.generate.dockerfiles import PairFile
from ci.plan.dockerfile_writer import INDEX_ARGUMENTS
from ci.plan.plan import Plan
from ci.plan.tags import make_moving_tag

FILE = "dockerfiles/docker-bake.json"
HEAD = (
    "Not edited by hand: change ci/matrix.toml, then run `./daggerw call generate export --path .`; "
    f"docker buildx bake --file {FILE} phase-1 (run in the folder of the repository; --print shows what it does)"
)
COMMON = "_common"


def render_bake_file(plans: Sequence[Plan], matrix: Matrix, pairs: Mapping[str, PairFile]) -> str:
    """Return the bake file (JSON) of all cells, with groups by pair, target and phase.

    `pairs` are the Dockerfile and the build arguments of each pair. The repository and the package index are variables
    of the environment.
    """
    names = {plan.cell: _bake_name(plan.cell.id) for plan in plans}
    targets: dict[str, object] = {
        COMMON: {
            "context": ".",
            "args": {name: f"${{{name}}}" for name in INDEX_ARGUMENTS},
            "platforms": ["linux/amd64"],
        }
    }
    for pair, file in pairs.items():
        targets[_pair_name(pair)] = {
            "inherits": [COMMON],
            "dockerfile": file.path,
            **({"args": dict(file.arguments)} if file.arguments else {}),
        }
    default = match_cells(matrix)
    groups: dict[str, list[str]] = {"default": [names[cell] for cell in default]}
    for plan in plans:
        cell = plan.cell
        targets[names[cell]] = {
            "inherits": [_pair_name(cell.pair_id)],
            "target": cell.target,
            "tags": [f"${{REPOSITORY}}:{make_moving_tag(plan, matrix.cuda[cell.cuda].wheel_tag)}"],
        }
        groups.setdefault(_bake_name(cell.pair_id), []).append(names[cell])
    selections = {target: [cell for cell in default if cell.target == target] for target in matrix.targets}
    for phase in matrix.phases:
        selections[f"phase-{phase}"] = [cell for cell in default if matrix.phase_of(cell) == phase]
    groups |= {name: [names[cell] for cell in cells] for name, cells in selections.items()}
    groups = {name: members for name, members in groups.items() if members}  # all of a phase may be excluded
    document = {
        "//": HEAD,
        # A null default leaves the argument out, so that pip and uv use their own.
        "variable": {
            "REPOSITORY": {"default": matrix.image.name},
            **{name: {"default": None} for name in INDEX_ARGUMENTS},
        },
        "group": {name: {"targets": members} for name, members in groups.items()},
        "target": targets,
    }
    return json.dumps(document, indent=2) + "\n"


def _pair_name(pair: str) -> str:
    """Name the target that the cells of a pair inherit from; no group has it."""
    return f"_{_bake_name(pair)}"


def _bake_name(identifier: str) -> str:
    """Replace the dots of an id, which bake does not accept: `cu12_8_1-py3_13-devel`."""
    return identifier.replace(".", "_")
