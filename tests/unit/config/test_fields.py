"""Fields: each kind of string accepts its own values, and nothing that a shell or a terminal interprets."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ci.config.fields import (
    AbsolutePath,
    ArchList,
    CheckName,
    CudaVersion,
    DebianName,
    Glob,
    ImageGlob,
    PythonVersion,
    Requirement,
    Version,
    Word,
)
from ci.inspection.checks import checks_for
from tests.unit.plans import CELLS, plan, pyg_page
from tests.unit.user_errors import texts

TYPES: dict[str, tuple[Any, str]] = {
    "Version": (Version, "0123456789.abcpostrdev"),
    "Word": (Word, "-._"),
    "DebianName": (DebianName, "-.+"),
    "AbsolutePath": (AbsolutePath, "-._/"),
    "Requirement": (Requirement, "-._[],<>=!~+* "),
    "ArchList": (ArchList, ".+PTX ;abcdefghijklmnopqrstuvwxyz"),
    "Glob": (Glob, "-._*?[]!"),
    "ImageGlob": (ImageGlob, "-._*?[]!@"),
    "CudaVersion": (CudaVersion, ".cpu"),
    "PythonVersion": (PythonVersion, "."),
}


@pytest.mark.parametrize("name", TYPES)
@given(value=texts | st.text(alphabet="3.128cpu+-_ /;\n$'[]=<>,PTXa", max_size=12))
def test_a_string_that_is_accepted_is_made_of_safe_characters(name: str, value: str) -> None:
    kind, punctuation = TYPES[name]
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return
    assert not value.startswith("-") or "Glob" in name  # a glob is an argument of no command
    assert all(char.isascii() and (char.isalnum() or char in punctuation) for char in value)


STRINGS_OF_A_KIND: dict[str, tuple[list[str], list[str]]] = {
    "Version": (
        ["2.11.0", "3.0.0.dev0", "2.39", "1", "2.0rc1", "1.0.post2"],
        ["", "v1", "1.", "1..2", "1+cu128", "1-1", "1.0.0.0x", "9" * 41, "1\n"],
    ),
    "Word": (["cslr", "ray-devel", "torch_scatter"], ["", "-x", ".x", "a b", "a/b", "a" * 62]),
    "DebianName": (
        ["g++", "libc6-dev", "libstdc++6", "gcc"],
        ["", "gcc-", "GCC", "-o", "gcc/sid", "gcc=1", "a b"],
    ),
    "AbsolutePath": (
        ["/workspace", "/home/x/.cache", "/a..b"],
        ["", "/", "x", "/..", "/a/../etc", "/.", "/a/", "//a", "/a b"],
    ),
    "Requirement": (
        ["numpy", "numpy>=2.1,<3", "ray[data,serve]==2.60.0", "a == 1.*", "a ~=1.2, !=1.2.3"],
        [
            "",
            "-r x",
            "a --index-url x",
            "a @ x",
            "a ; x",
            "./x",
            "a=1",
            "a==",
            "a==1 b",
            "a~=1",
            "a>=1.*",
            "a-",
        ],
    ),
    "ArchList": (
        ["8.0", "7.5 8.0 9.0a 12.0+PTX", "8.0;9.0+PTX"],
        ["", "8", "120.0", "8.0 ", "8.0  9.0", "8.0,9.0", "sm_80", "8.0+ptx"],
    ),
    "Glob": (["cu12*-py3.1[!4]-?ay-devel", "*"], ["", "a b", "*-runtime@slim", "a" * 81, "*\n", "$(id)"]),
    "ImageGlob": (["*-runtime@slim", "*-runtime"], ["", "a b", "a" * 81, "*\n", "$(id)"]),
    "CudaVersion": (["12.8.1", "cpu"], ["", "12.8", "cpu\n", "12.8.1.0", "cu128"]),
    "PythonVersion": (["3.13", "3.9"], ["", "3", "3.13.1", "2.7", "3.x", "3.13t"]),
}


@pytest.mark.parametrize("name", STRINGS_OF_A_KIND)
def test_what_a_kind_of_string_accepts(name: str) -> None:
    good, bad = STRINGS_OF_A_KIND[name]
    adapter: TypeAdapter[str] = TypeAdapter(TYPES[name][0])
    assert [adapter.validate_python(value) for value in good] == good
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_every_check_applies_to_some_image() -> None:
    pages = [None, pyg_page(())]  # without wheels of PyG's extensions they are compiled
    plans = [plan(cell_id, page=page) for cell_id in (*CELLS, "cpu-py3.13-devel") for page in pages]
    assert {check.name for made in plans for check in checks_for(made)} == set(get_args(CheckName))
