"""Which images are others with more layers on top: what the plan knows, by digests."""

from dataclasses import replace

import pytest

from ci.plan.inputs import Options
from ci.plan.layers import added_layers, base_name
from ci.plan.system import Account
from tests.unit.plans import CELLS, plan

PAIR = "cu12.8.1-py3.13"


@pytest.mark.parametrize("kind", ["runtime", "devel"])
def test_an_image_adds_its_layers_to_those_below(kind: str) -> None:
    below, ray, marimo = (plan(f"{PAIR}-{name}{kind}") for name in ("", "ray-", "marimo-"))
    assert added_layers(ray, below) == ("ray",)
    assert added_layers(marimo, ray) == ("marimo",)
    assert added_layers(marimo, below) == ("ray", "marimo")
    assert added_layers(below, ray) == added_layers(ray, ray) == ()
    assert base_name(below) == ("runtime-base" if kind == "runtime" else "base")


def test_images_of_another_pair_or_kind_are_not_below() -> None:
    plans = [plan(name) for name in CELLS]
    pairs = [(one, other) for one in plans for other in plans if added_layers(one, other)]
    assert len(pairs) == 18
    for one, other in pairs:
        assert one.cell.pair_id == other.cell.pair_id
        assert one.cell.target.endswith(other.cell.target.rpartition("-")[2])


@pytest.mark.parametrize(
    "options", [Options(variant="slim"), Options(variant="minimal"), Options(archs="8.0")], ids=str
)
def test_an_image_made_otherwise_is_not_below(options: Options) -> None:
    above, below = (plan(f"{PAIR}-{name}runtime", options=options) for name in ("ray-", ""))
    assert added_layers(above, below) == ("ray",)
    assert added_layers(plan(f"{PAIR}-ray-runtime"), below) == ()


def test_an_image_of_other_pins_or_another_user_is_not_below() -> None:
    ray = plan(f"{PAIR}-ray-runtime")
    for changes in (
        "[image]\nuid = 1234\n",
        '[image]\nworkdir = "/elsewhere"\n',
        '[pyg]\ntorch-geometric = "2.7.0"\n',
    ):
        assert added_layers(ray, plan(f"{PAIR}-runtime", changes=changes)) == (), changes


@pytest.mark.parametrize(
    ("settings", "is_below"),
    [
        ({"env": (("PATH", "/elsewhere"),)}, False),
        ({"account": Account(user="other", uid=1, workdir="/")}, False),
        ({"labels": (), "args": ("sh",), "port": 1}, True),
    ],
    ids=["variables", "user", "labels, command and port"],
)
def test_commands_must_run_with_the_same_settings(settings: dict[str, object], is_below: bool) -> None:
    ray, below = plan(f"{PAIR}-ray-runtime"), plan(f"{PAIR}-runtime")
    image = replace(below.stages[-1], spec=below.stages[-1].spec.model_copy(update=settings))
    changed = replace(below, stages=(*below.stages[:-1], image))
    assert added_layers(ray, changed) == (("ray",) if is_below else ())
