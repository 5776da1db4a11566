"""What each stage asks for, and pins taken out of a lock with their hashes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.plan.requirements import (
    name_ray_nightly_wheel,
    pinned_versions,
    satisfies,
    select_pins,
    write_requirements,
)
from tests.unit.plans import matrix_with
from tests.unit.user_errors import texts

MATRIX = matrix_with()
PINS = MATRIX.torch["upstream"]["12.8.1"]

LOCK = """\
# a comment
torch-cluster==1.6.3 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
torch-scatter==2.1.2 \\
    --hash=sha256:cccc
    # via torch-sparse
torch-sparse==0.6.18 --hash=sha256:dddd
"""


# -- wanted --------------------------------------------------------------------------------------------------


def test_torch_is_asked_for_with_the_label_of_its_own_index() -> None:
    asked = write_requirements("torch", MATRIX, PINS, "cu128").splitlines()
    assert asked[:3] == ["torch==2.11.0+cu128", "torchvision==0.26.0+cu128", "torchaudio==2.11.0+cu128"]
    assert asked[3:] == list(MATRIX.environment.packages)


def test_torch_has_no_label_where_it_has_no_index() -> None:
    asked = write_requirements("torch", MATRIX, PINS).splitlines()
    assert asked[:3] == ["torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0"]


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("pyg", "torch-geometric==2.8.1\n"),
        ("ray", "ray[data,train,tune,serve]==2.60.0\n"),
        ("marimo", "marimo==0.25.2\n"),
    ],
)
def test_other_stages_ask_for_one_package(stage: str, text: str) -> None:
    assert write_requirements(stage, MATRIX, PINS, "cu128") == text


def test_nightly_ray_asks_for_the_version_that_the_nightly_wheel_carries() -> None:
    assert write_requirements("ray", MATRIX, PINS, nightly=True) == "ray[data,train,tune,serve]==3.0.0.dev0\n"


# -- picked --------------------------------------------------------------------------------------------------


def test_a_pin_is_taken_with_all_its_hashes_and_no_others() -> None:
    assert select_pins(LOCK, ["torch-cluster==1.6.3"]) == (
        "torch-cluster==1.6.3 \\\n    --hash=sha256:aaaa \\\n    --hash=sha256:bbbb\n"
    )


def test_pins_come_in_the_order_in_which_they_are_wanted() -> None:
    text = select_pins(LOCK, ["torch-sparse==0.6.18", "torch-scatter==2.1.2"]) or ""
    assert text.index("dddd") < text.index("cccc")
    assert "torch-cluster" not in text


def test_nothing_wanted_is_nothing_taken() -> None:
    assert select_pins(LOCK, []) == ""


@pytest.mark.parametrize(
    "pin",
    [
        "torch-scatter==2.1.3",
        "torch-scatter",
        "torch==2.1.2",
        "scatter==2.1.2",
        "",
        "#",
        "--hash=sha256:cccc",
    ],
)
def test_a_lock_that_lacks_a_pin_gives_none_at_all(pin: str) -> None:
    assert select_pins(LOCK, ["torch-cluster==1.6.3", pin]) is None


@given(texts, st.lists(texts, max_size=3))
def test_any_lock_gives_all_pins_or_none(lock: str, wanted_pins: list[str]) -> None:
    found = select_pins(lock, wanted_pins)
    assert found is None or all(pin in found for pin in wanted_pins)


# -- locks and pins ------------------------------------------------------------------------------------------


def test_the_pins_of_a_lock_are_told_by_normal_names() -> None:
    lock = 'Torch_Cluster==1.6.3 \\\n    --hash=sha256:a==b\n# x==1\ncolorama==0.4.6 ; os_name == "nt" \\\n\n'
    assert pinned_versions(lock) == {"torch-cluster": "1.6.3", "colorama": "0.4.6"}
    assert pinned_versions(LOCK) == {
        "torch-cluster": "1.6.3",
        "torch-scatter": "2.1.2",
        "torch-sparse": "0.6.18",
    }


@pytest.mark.parametrize(
    ("asked", "honoured"),
    [
        ("", True),
        ("torch-scatter==2.1.2", True),
        ("Torch_Scatter==2.1.2", True),
        ("torch-scatter==2.1.2\ntorch-sparse>=0.6,<1", True),
        ("torch-scatter[extra]==2.1.2", True),
        ("torch-scatter==2.1", False),
        ("torch-scatter==2.1.2+cu128", False),
        ("torch-scatter==2.1.2\ntorch-sparse>=0.7", False),
        ("torch==2.11.0", False),
        ("numpy", False),
    ],
)
def test_a_lock_honours_what_is_asked_or_does_not(asked: str, honoured: bool) -> None:
    assert satisfies(LOCK, asked) is honoured


# -- Ray's nightly wheel -------------------------------------------------------------------------------------


@pytest.mark.parametrize("abi", ["cp312", "cp313", "cp314"])
def test_the_tag_of_the_nightly_wheel_is_the_cells_own(abi: str) -> None:
    # It was cp314 for every Python once, and no 3.13 image could be built.
    assert name_ray_nightly_wheel("3.0.0.dev0", abi) == f"ray-3.0.0.dev0-{abi}-{abi}-manylinux2014_x86_64.whl"
