"""The reference page: every function and argument has a text with an example that works."""

import inspect
import re
import shlex
from dataclasses import fields
from typing import get_args, get_type_hints

import pytest
from dagger import Doc

from ci import args
from ci.choices import MAX_CELLS, MAX_JOBS
from ci.generate.reference import (
    ARGUMENT_TYPES,
    accepted_values,
    cli_name,
    describe_function,
    find_example,
    public_functions,
    render_reference,
)
from ci.main import CslrImages
from ci.sdk.compat import own_fields
from ci.sweep.run import SweepOptions
from ci.util.errors import UserError
from tests.unit.plans import matrix_with

FUNCTIONS = public_functions(CslrImages)
TYPES = {
    name: hint for name, hint in vars(args).items() if any(isinstance(part, Doc) for part in get_args(hint))
}
PAGE = render_reference(CslrImages, own_fields(CslrImages), vars(args), matrix_with())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_a_text_and_an_example_that_its_signature_takes(name: str) -> None:
    method = FUNCTIONS[name]
    call = find_example(method)
    assert call, f"{name}: no example such as `{name} …` in its text"
    assert describe_function(method).count(" "), f"{name}: no text"
    assert call not in describe_function(method)
    parameters = {
        f"--{cli_name(given.name)}": given
        for given in inspect.signature(method).parameters.values()
        if given.name != "self"
    }
    first, *words = shlex.split(call)
    assert first == name
    asked: set[str] = set()
    while words and words[0].startswith("--"):
        option = words.pop(0).split("=")[0]
        assert option in parameters, f"{name} has no {option}"
        asked.add(option)
        if words and not words[0].startswith("--") and not isinstance(parameters[option].default, bool):
            words.pop(0)
    required = {option for option, given in parameters.items() if given.default is inspect.Parameter.empty}
    assert required <= asked, f"the example of {name} leaves out {sorted(required - asked)}"


@pytest.mark.parametrize("name", TYPES)
def test_an_argument_has_a_text_with_a_value(name: str) -> None:
    kind, *extras = get_args(TYPES[name])
    text = next(extra.documentation for extra in extras if isinstance(extra, Doc))
    assert kind is bool or re.search(r"`[^`]+`", text), f"args.{name}: no example in its text"
    assert text.endswith(".")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_has_a_type_with_a_text(name: str) -> None:
    hints = get_type_hints(FUNCTIONS[name], include_extras=True)
    assert [key for key, hint in hints.items() if key != "return" and hint not in TYPES.values()] == []


def test_every_option_of_the_module_has_a_type_with_a_text() -> None:
    hints = get_type_hints(CslrImages, include_extras=True)
    assert [field.name for field in fields(CslrImages) if hints[field.name] not in TYPES.values()] == []  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_page_has_a_section_for_each_function_with_each_argument(name: str) -> None:
    section = PAGE.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]
    assert f"    ./daggerw call {find_example(FUNCTIONS[name])}\n" in section
    for given in inspect.signature(FUNCTIONS[name]).parameters.values():
        if given.name != "self":
            required = "required" if given.default is inspect.Parameter.empty else ""
            assert re.search(
                rf"^\| `--{cli_name(given.name)}` \| [^|]+ \| {required}[^|]* \| [^|]+ \|$",
                section,
                re.MULTILINE,
            )


def test_every_accepted_value_belongs_to_a_type() -> None:
    assert set(accepted_values(matrix_with())) <= set(TYPES)


def test_ranges_are_those_that_are_checked() -> None:
    values = accepted_values(matrix_with())
    assert values["Limit"] == f"1 to {MAX_CELLS}"
    assert values["Jobs"] == f"1 to {MAX_JOBS}"
    SweepOptions(limit=MAX_CELLS, disk_floor=0, fail_fast=False, verify="once")
    with pytest.raises(UserError, match=f"accepted: {values['Limit']} cells"):
        SweepOptions(limit=MAX_CELLS + 1, disk_floor=0, fail_fast=False, verify="once")
    with pytest.raises(UserError, match=f"accepted: {values['DiskFloor']} GB"):
        SweepOptions(limit=1, disk_floor=1_000_001, fail_fast=False, verify="once")


def test_tables_have_as_many_cells_in_each_row() -> None:
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_every_type_of_an_argument_has_a_description() -> None:
    kinds = {str(get_args(hint)[0]) for hint in TYPES.values()}
    assert not [
        kind for kind in kinds if not any(getattr(known, "__name__", "") in kind for known in ARGUMENT_TYPES)
    ]


def test_the_options_of_every_call_are_listed_with_their_defaults() -> None:
    part = PAGE.partition("## Options of every call")[2].partition("\n## ")[0]
    for option in ("--sources", "--matrix-file", "--variant", "--archs"):
        assert f"`{option}`" in part
