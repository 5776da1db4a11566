"""The whole matrix for `docker buildx bake`: a target for each cell, groups by pair, target and phase."""

import json
from collections.abc import Sequence

from ci.config.matrix import Matrix
from ci.config.selection import select_cells
from ci.generate.dockerfile import INDEX
from ci.plan.planner import Plan
from ci.plan.tags import moving

FILE = "dockerfiles/docker-bake.json"
HEAD = (
    "Not edited by hand: change ci/matrix.toml, then run `./daggerw call generate export --path .`; "
    f"docker buildx bake --file {FILE} phase-1 (run in the folder of the repository; --print shows what it does)"
)
COMMON = "_common"


def bake(plans: Sequence[Plan], matrix: Matrix) -> str:
    """Return the bake file of all cells; the repository and the package index are variables of the environment."""
    names = {plan.cell: _name(plan.cell.id) for plan in plans}
    targets: dict[str, object] = {
        COMMON: {
            "context": ".",
            "args": {name: f"${{{name}}}" for name in INDEX},
            "platforms": ["linux/amd64"],
        }
    }
    groups: dict[str, list[str]] = {"default": [names[cell] for cell in select_cells(matrix)]}
    for plan in plans:
        cell = plan.cell
        targets[names[cell]] = {
            "inherits": [COMMON],
            "dockerfile": f"dockerfiles/{cell.pair_id}/Dockerfile",
            "target": cell.target,
            "tags": [f"${{REPOSITORY}}:{moving(plan, matrix.cuda[cell.cuda].wheel_tag)}"],
        }
        groups.setdefault(_name(cell.pair_id), []).append(names[cell])
    chosen = {target: select_cells(matrix, target=[target]) for target in matrix.targets}
    chosen |= {f"phase-{phase}": select_cells(matrix, phase=[phase]) for phase in matrix.phases}
    groups |= {name: [names[cell] for cell in cells] for name, cells in chosen.items()}
    document = {
        "//": HEAD,
        # What is null is not given, so that pip and uv take their own.
        "variable": {
            "REPOSITORY": {"default": matrix.image.name},
            **{name: {"default": None} for name in INDEX},
        },
        "group": {name: {"targets": members} for name, members in groups.items()},
        "target": targets,
    }
    return json.dumps(document, indent=2) + "\n"


def _name(identifier: str) -> str:
    """Return the name of a cell or pair in a bake file, which takes no dots: `cu12_8_1-py3_13-devel`."""
    return identifier.replace(".", "_")
