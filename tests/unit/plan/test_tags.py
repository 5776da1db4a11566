"""The names of published images: from the cell and from what was found in the image."""

import pytest

from ci.config.matrix import default_matrix
from ci.plan.tags import make_tags, parse_repository
from ci.util.errors import UserError
from tests.unit.plans import plan

FOUND = {"torch": "2.8.0+cu128", "ray": "2.54.0", "marimo": "0.25.2", "python": "3.13.9"}


@pytest.mark.parametrize(
    ("cell", "wheel_tag", "expected"),
    [
        ("cu12.8.1-py3.13-ray-runtime", "cu128", "ray-runtime-cu128-py313-torch2.8.0-ray2.54.0"),
        ("cu12.8.1-py3.13-devel", "cu128", "devel-cu128-py313-torch2.8.0"),
        (
            "cu13.1.1-py3.14-marimo-runtime",
            "cu130",
            "marimo-runtime-cu130-py314-torch2.8.0-ray2.54.0-marimo0.25.2",
        ),
        ("cpu-py3.13-runtime", "cpu", "runtime-cpu-py313-torch2.8.0"),
    ],
)
def test_a_tag_tells_the_cell_and_the_versions_in_the_image(cell: str, wheel_tag: str, expected: str) -> None:
    stays, moves = make_tags(plan(cell, "registries"), wheel_tag, FOUND)
    assert stays == expected
    assert stays.startswith(f"{moves}-torch")
    assert moves == expected.partition("-torch")[0]


def test_a_version_that_was_not_found_is_never_made_up() -> None:
    with pytest.raises(
        UserError, match=r"no tag without the version of ray, which was not found in the image"
    ):
        make_tags(plan("cu12.8.1-py3.13-ray-runtime", "registries"), "cu128", {"torch": "2.8.0"})


def test_every_tag_is_one_that_registries_take() -> None:
    matrix = default_matrix()
    for cell in matrix.cells:
        for tag in make_tags(plan(cell.id, "registries"), matrix.cuda[cell.cuda].wheel_tag, FOUND):
            assert len(tag) <= 128
            assert set(tag) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


def test_the_users_name_is_spelled_as_they_spell_it() -> None:
    assert default_matrix().image.name == "plumiiume/cslr-exp-platform"


@pytest.mark.parametrize(
    "value",
    [
        "docker.io/plumiiume/cslr-exp-platform",
        "ghcr.io/a/b/c",
        "127.0.0.1:5000/x",
        "localhost/x",
        "reg:5000/a__b",
    ],
)
def test_repositories_are_taken_as_docker_push_takes_them(value: str) -> None:
    assert parse_repository(value) == value


def test_a_repository_has_at_most_two_hundred_characters() -> None:
    longest = "docker.io/" + "a" * 190
    assert parse_repository(longest) == longest
    with pytest.raises(UserError, match="bad repository"):
        parse_repository(f"{longest}a")


@pytest.mark.parametrize(
    "value",
    [
        "docker.io/a:tag",
        "docker.io/a@sha256:00",
        "a/b",
        "",
        "https://docker.io/a",
        "docker.io/A",
        "docker.io/a b",
        "x.y/",
    ],
)
def test_what_is_no_repository_is_refused_in_one_line(value: str) -> None:
    with pytest.raises(UserError, match="bad repository"):
        parse_repository(value)
