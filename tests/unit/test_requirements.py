"""What each stage asks for, and pins taken out of a lock with their hashes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.requirements import picked, ray_nightly_wheel, wanted
from tests.unit.mistakes import answer, mistake, texts
from tests.unit.planning import matrix_with

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
    asked = wanted("torch", MATRIX, PINS, "cu128").splitlines()
    assert asked[:3] == ["torch==2.11.0+cu128", "torchvision==0.26.0+cu128", "torchaudio==2.11.0+cu128"]
    assert asked[3:] == list(MATRIX.environment.packages)


def test_torch_has_no_label_where_it_has_no_index() -> None:
    asked = wanted("torch", MATRIX, PINS).splitlines()
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
    assert wanted(stage, MATRIX, PINS, "cu128") == text


def test_nightly_ray_asks_for_the_version_that_the_nightly_wheel_carries() -> None:
    assert wanted("ray", MATRIX, PINS, nightly=True) == "ray[data,train,tune,serve]==3.0.0.dev0\n"


# -- picked --------------------------------------------------------------------------------------------------


def test_a_pin_is_taken_with_all_its_hashes_and_no_others() -> None:
    assert picked(LOCK, ["torch-cluster==1.6.3"]) == (
        "torch-cluster==1.6.3 \\\n    --hash=sha256:aaaa \\\n    --hash=sha256:bbbb\n"
    )


def test_pins_come_in_the_order_in_which_they_are_wanted() -> None:
    text = picked(LOCK, ["torch-sparse==0.6.18", "torch-scatter==2.1.2"])
    assert text.index("dddd") < text.index("cccc")
    assert "torch-cluster" not in text


def test_nothing_wanted_is_nothing_taken() -> None:
    assert picked(LOCK, []) == ""


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
def test_a_pin_without_hashes_is_a_mistake_that_names_those_with(pin: str) -> None:
    assert mistake(lambda: picked(LOCK, ["torch-cluster==1.6.3", pin])) == (
        f"locks/sdists.txt has no hashes for {pin}; "
        "it has: torch-cluster==1.6.3, torch-scatter==2.1.2, torch-sparse==0.6.18"
    )


def test_every_missing_pin_is_named_at_once() -> None:
    assert "no hashes for a==1, b==2;" in mistake(
        lambda: picked(LOCK, ["a==1", "torch-sparse==0.6.18", "b==2"])
    )


@given(texts, st.lists(texts, max_size=3))
def test_any_lock_gives_pins_or_a_mistake(lock: str, pins: list[str]) -> None:
    answer(lambda: picked(lock, pins))


# -- Ray's nightly wheel -------------------------------------------------------------------------------------


@pytest.mark.parametrize("abi", ["cp312", "cp313", "cp314"])
def test_the_tag_of_the_nightly_wheel_is_the_cells_own(abi: str) -> None:
    # It was cp314 for every Python once, and no 3.13 image could be built.
    assert ray_nightly_wheel("3.0.0.dev0", abi) == f"ray-3.0.0.dev0-{abi}-{abi}-manylinux2014_x86_64.whl"
