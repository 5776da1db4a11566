"""The toolkit's command: its wheels and its compiler are taken by their hashes."""

import pytest

from ci.plan.stages.toolkit import (
    ToolkitSpec,
    fetch_compiler_command,
    list_external_inputs,
    make_toolkit_command,
)
from tests.unit.plans import cell, plan

HYBRID = "cu12.8.1-py3.13-runtime"  # its compiler is a Debian package
WHEELS = "cu13.1.1-py3.14-runtime"


def toolkit(cell_id: str) -> ToolkitSpec:
    """Return the toolkit of a cell of the registries."""
    return plan(cell_id, "registries").spec("toolkit", ToolkitSpec)


def test_the_compilers_package_is_taken_by_its_hash() -> None:
    spec = toolkit(HYBRID)
    assert spec.deb
    for command in (make_toolkit_command(spec, "/run/lock", "/out"), fetch_compiler_command(spec, "/out")):
        assert command[command.index("--compiler") + 1] == f"{spec.deb.package}={spec.deb.version}"
        assert command[command.index("--sha256") + 1] == spec.deb.sha256
    assert len(spec.deb.sha256) == 64


@pytest.mark.parametrize("cell_id", [HYBRID, WHEELS])
def test_the_wheels_are_taken_from_their_lock(cell_id: str) -> None:
    spec = toolkit(cell_id)
    assert spec.locked
    assert "--hash=sha256:" in spec.locked
    command = make_toolkit_command(spec, "/run/lock", "/out")
    assert command[command.index("--require") + 1] == "/run/lock"
    assert "--requirement" not in command
    unlocked = make_toolkit_command(spec.model_copy(update={"locked": None}), "/run/lock", "/out")
    assert unlocked.count("--requirement") == len(spec.wheels) > 0
    assert "--require" not in unlocked


def test_another_hash_is_another_input_of_a_bundle() -> None:
    spec = toolkit(HYBRID)
    assert spec.deb
    other = spec.model_copy(update={"deb": spec.deb.model_copy(update={"sha256": "0" * 64})})
    one, two = (list_external_inputs(each, cell(HYBRID)) for each in (spec, other))
    assert {name for name in one if one[name].bundle_path != two[name].bundle_path} == {"compiler"}
