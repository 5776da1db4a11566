"""No option or function has a name that Dagger uses itself, in any version that the module supports."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import ci
from tests.stand_ins import client_api

DAGGER: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[1] / "data/dagger_names.toml").read_text("utf-8")
)
# Seen on a release of 1.0.
SEEN = {"env", "org", "profile", "workspace", "x-release", "load-module"}


def options() -> set[str]:
    """Return the names of all options and arguments as Python has them."""
    return {name for function in client_api.describe_module().values() for name in function["takes"]}


def functions() -> set[str]:
    """Return the names of all functions and of the main object."""
    return {*(name for name in client_api.describe_module() if name), ci.CslrImages.__name__}


def on_the_command_line(name: str) -> str:
    """Return how the command line writes a name of Python: `mirror-service`."""
    return name.replace("_", "-").lower()


def in_the_api(name: str) -> str:
    """Return how the API writes a name of Python: `mirrorService`."""
    camel = re.sub(r"_(\w)", lambda found: found[1].upper(), name)
    return camel[0].lower() + camel[1:]


def test_a_name_is_written_as_dagger_does() -> None:
    assert on_the_command_line("mirror_service") == "mirror-service"
    assert in_the_api("mirror_service") == "mirrorService"
    assert in_the_api("CslrImages") == "cslrImages"


@pytest.mark.parametrize("dagger", DAGGER)
def test_no_option_has_the_name_of_a_flag(dagger: str) -> None:
    taken = set(DAGGER[dagger]["flags"])
    assert sorted(name for name in options() if on_the_command_line(name) in taken) == []


def test_no_option_can_be_taken_for_a_short_flag() -> None:
    assert min(map(len, options())) > 1, (
        "Dagger gives options of a module no letter, and each of its own has one"
    )


@pytest.mark.parametrize("dagger", DAGGER)
def test_no_function_has_the_name_of_a_field_of_the_root(dagger: str) -> None:
    taken = set(DAGGER[dagger]["root"])
    assert sorted(name for name in functions() if in_the_api(name) in taken) == []


def test_what_was_seen_on_a_release_is_listed() -> None:
    assert {"profile"} <= SEEN - set(DAGGER["0.21.8"]["flags"]), "they came after 0.21"
    assert set(DAGGER["1.0.0-beta.10"]["flags"]) >= SEEN
    assert all({"secret", "container"} <= set(one["root"]) for one in DAGGER.values())
    assert all({"help", "mod", "output", "json"} <= set(one["flags"]) for one in DAGGER.values())


def test_the_list_has_what_the_installed_client_has() -> None:
    listed = next(one["root"] for one in DAGGER.values() if one["client"] == version("dagger-io"))
    assert client_api.root_fields() == listed
