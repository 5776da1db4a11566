"""The matrix: its cells, their names and phases, how they are selected, and what a document may hold."""

import tomllib
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ci.config.fields import (
    AbsolutePath,
    ArchList,
    CudaVersion,
    DebianName,
    PythonVersion,
    Requirement,
    Version,
    Word,
)
from ci.config.matrix import Cell, Matrix, default_matrix, read_matrix
from ci.util.model import load
from tests.unit.plans import CELLS, PAIRS, TARGETS, matrix_with, shipped
from tests.unit.user_errors import answer, mistake, nasty, texts

MATRIX = default_matrix()
CPU_CELLS = tuple(f"cpu-py3.13-{target}" for target in TARGETS)

# Users' own order of need (users-and-facts.md): phase, pair, targets.
PHASES = {
    1: tuple(f"cu12.8.1-py3.13-{target}" for target in TARGETS),
    2: tuple(f"cu13.1.1-py3.14-{target}" for target in ("runtime", "ray-runtime", "marimo-runtime")),
    3: tuple(f"cu12.8.1-py3.14-{target}" for target in ("runtime", "ray-runtime", "marimo-runtime")),
    4: tuple(f"cu13.1.1-py3.14-{target}" for target in ("devel", "ray-devel", "marimo-devel")),
    5: tuple(f"cu12.8.1-py3.14-{target}" for target in ("devel", "ray-devel", "marimo-devel")),
}


def ids(**filters: Any) -> tuple[str, ...]:
    """Return the ids that filters select, in order."""
    return tuple(cell.id for cell in MATRIX.select(**filters))


def matching(*words: str) -> tuple[str, ...]:
    """Return the ids of the 18 cells that hold every word."""
    return tuple(name for name in CELLS if all(word in name for word in words))


# -- what there is -------------------------------------------------------------------------------------------


def test_there_are_eighteen_cells_pair_by_pair() -> None:
    assert ids() == CELLS
    assert len(set(CELLS)) == 18


def test_the_cpu_pair_is_selected_only_when_asked_for() -> None:
    assert ids(cuda=["cpu"]) == CPU_CELLS
    assert ids(only=["cpu-*"]) == CPU_CELLS
    assert ids(cuda=["cpu", "13.1.1"]) == matching("cu13.1.1") + CPU_CELLS
    assert ids(python=["3.13"]) == matching("py3.13")
    assert ids(target=["devel"]) == tuple(f"{pair}-devel" for pair in PAIRS)
    assert len(MATRIX.cells) == 24


def test_the_account_of_the_image_has_two_i_in_a_row() -> None:
    assert MATRIX.image.name == "plumiiume/cslr-exp-platform"
    assert MATRIX.image.source == "https://hub.docker.com/r/plumiiume/cslr-exp-platform"


def test_the_account_is_spelled_with_one_i_nowhere() -> None:
    wrong = "plumi" + "ume"
    assert wrong not in shipped("matrix.toml")
    assert wrong not in shipped("sources.toml")


@pytest.mark.parametrize(
    ("cell", "name", "pair", "abi"),
    [
        (("12.8.1", "3.13", "ray-runtime"), "cu12.8.1-py3.13-ray-runtime", "cu12.8.1-py3.13", "cp313"),
        (("13.1.1", "3.14", "devel"), "cu13.1.1-py3.14-devel", "cu13.1.1-py3.14", "cp314"),
        (("cpu", "3.13", "runtime"), "cpu-py3.13-runtime", "cpu-py3.13", "cp313"),
    ],
)
def test_a_cell_has_a_stable_id(cell: tuple[str, str, str], name: str, pair: str, abi: str) -> None:
    found = Cell(cuda=cell[0], python=cell[1], target=cell[2])
    assert (found.id, found.pair_id, found.abi) == (name, pair, abi)


def test_the_tag_of_13_1_is_cu130_for_there_is_no_cu131() -> None:
    assert {cuda: line.wheel_tag for cuda, line in MATRIX.cuda.items()} == {
        "12.8.1": "cu128",
        "13.1.1": "cu130",
        "cpu": "cpu",
    }


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_what_its_name_says(target: str) -> None:
    layers = {"devel": (), "runtime": ()}.get(
        target, ("ray",) if target.startswith("ray") else ("ray", "marimo")
    )
    assert MATRIX.targets[target].layers == layers
    assert MATRIX.targets[target].kind == target.rsplit("-", 1)[-1]


# -- phases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_selects_its_cells(phase: int) -> None:
    assert ids(phase=[phase]) == PHASES[phase]


@pytest.mark.parametrize("phase", PHASES)
def test_a_cell_knows_its_phase(phase: int) -> None:
    assert {MATRIX.phase(cell) for cell in MATRIX.cells if cell.id in PHASES[phase]} == {phase}


def test_cells_of_the_cpu_pair_have_no_phase() -> None:
    assert {MATRIX.phase(cell) for cell in MATRIX.cells if cell.cuda == "cpu"} == {None}


def test_all_phases_together_are_the_whole_matrix() -> None:
    assert ids(phase=[5, 4, 3, 2, 1]) == CELLS


# -- selection -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"cuda": ["12.8.1"]}, matching("cu12.8.1")),
        ({"cuda": ["13.1.1"]}, matching("cu13.1.1")),
        ({"python": ["3.14"]}, matching("py3.14")),
        ({"cuda": ["12.8.1"], "python": ["3.14"]}, matching("cu12.8.1-py3.14")),
        ({"cuda": ["12.8.1", "13.1.1"], "python": ["3.13", "3.14"]}, CELLS),
        ({"python": ["3.13"], "target": ["runtime"]}, ("cu12.8.1-py3.13-runtime",)),
        ({"phase": [1], "target": ["runtime", "devel"]}, ("cu12.8.1-py3.13-devel", "cu12.8.1-py3.13-runtime")),
        ({"phase": [2, 4], "target": ["devel"]}, ("cu13.1.1-py3.14-devel",)),
        ({"only": ["cu12.8.1-py3.13-ray-runtime"]}, ("cu12.8.1-py3.13-ray-runtime",)),
        ({"only": ["cu*-ray-*"]}, matching("-ray-")),
        ({"only": ["cu1[3]*.14-devel", "cu12*3.14-devel"]}, ("cu12.8.1-py3.14-devel", "cu13.1.1-py3.14-devel")),
        ({"only": ["cu12*-py3.1[!4]-?ay-devel"]}, ("cu12.8.1-py3.13-ray-devel",)),
        ({"only": ["cu*-runtime", "*-devel"], "phase": [2]}, matching("cu13.1.1", "-runtime")),
    ],
)  # fmt: skip
def test_every_filter_that_is_given_must_match(filters: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert ids(**filters) == expected


def test_cells_come_in_the_order_of_the_document_whatever_the_order_of_the_values() -> None:
    assert ids(target=["runtime", "devel"], cuda=["13.1.1", "12.8.1"]) == ids(
        cuda=["12.8.1", "13.1.1"], target=["devel", "runtime"]
    )
    assert ids(only=["cu13*", "cu*"]) == CELLS


def test_a_pair_that_the_matrix_lacks_is_told_with_those_that_it_has() -> None:
    said = mistake(lambda: MATRIX.select(cuda=["13.1.1"], python=["3.13"]))
    assert said == mistake(lambda: MATRIX.cell("13.1.1", "3.13", "devel"))
    assert said.startswith(
        "the matrix has no pair of CUDA 13.1.1 with Python 3.13; pairs: 12.8.1 with 3.13, "
    )


def test_a_glob_takes_cpu_images_only_when_it_names_them() -> None:
    assert ids(only=["*"]) == CELLS
    assert ids(only=["*-py3.13-runtime"]) == ("cu12.8.1-py3.13-runtime",)
    assert ids(only=["cpu-*", "*"]) == (*CELLS, *CPU_CELLS)


EXCLUDED = '[[excludes]]\nonly = "cu12*-py3.14-*"\nreason = "no wheel for cp314"\n'


def test_an_excluded_cell_is_never_selected_and_the_reason_is_told() -> None:
    matrix = matrix_with(EXCLUDED)
    assert {cell.pair_id for cell in matrix.select()} == {"cu12.8.1-py3.13", "cu13.1.1-py3.14"}
    alone = mistake(lambda: matrix.select(only=["cu12.8.1-py3.14-devel"]))
    assert alone == "the selection is empty: excluded in the matrix: no wheel for cp314"
    named = mistake(lambda: matrix.cell("12.8.1", "3.14", "devel"))
    assert named == "cu12.8.1-py3.14-devel is excluded in the matrix: no wheel for cp314"


def test_an_exclude_needs_a_reason() -> None:
    assert "excludes.0.reason" in mistake(lambda: matrix_with('[[excludes]]\nonly = "cu12*"\n'))


@pytest.mark.parametrize(
    "filters",
    [
        {"phase": [1], "cuda": ["13.1.1"]},
        {"cuda": ["cpu"], "phase": [1]},
        {"only": ["cu99*"]},
        {"only": ["ray-runtime"]},
        {"only": ["CU*"]},
    ],
)
def test_an_empty_selection_is_a_mistake(filters: dict[str, Any]) -> None:
    assert (
        mistake(lambda: MATRIX.select(**filters))
        == "the selection is empty: no cell matches all filters; `dagger call cells` lists them"
    )


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            {"cuda": ["12.8.2"]},
            "unknown CUDA version '12.8.2' (did you mean '12.8.1'?); accepted: 12.8.1, 13.1.1, cpu",
        ),
        ({"cuda": ["12.8.1", "rocm"]}, "unknown CUDA version 'rocm'; accepted: 12.8.1, 13.1.1, cpu"),
        ({"python": ["3.13", "314"]}, "version '314' (did you mean '3.14'?); accepted: 3.13, 3.14"),
        (
            {"target": ["ray_runtime"]},
            f"unknown target 'ray_runtime' (did you mean 'ray-runtime'?); accepted: {', '.join(TARGETS)}",
        ),
        ({"phase": [6]}, "unknown phase '6'; accepted: 1, 2, 3, 4, 5"),
        ({"phase": [-1]}, "accepted: 1, 2, 3, 4, 5"),
    ],
)
def test_an_unknown_value_names_what_is_accepted(filters: dict[str, Any], message: str) -> None:
    assert mistake(lambda: MATRIX.select(**filters)).endswith(message)


@pytest.mark.parametrize(
    "glob", ["", " ", "cu*;id", "cu*\n", "$(id)", "cu*/..", "a" * 81, "{a,b}", "日", "-\x00", "cu'*"]
)
def test_a_glob_holds_only_what_ids_and_globs_are_made_of(glob: str) -> None:
    assert mistake(lambda: MATRIX.select(only=[glob])).startswith("bad glob ")


@pytest.mark.parametrize(
    "glob", ["*" * 80, "*a" * 40, "[" * 80, "[!", "[]", "[!]", "[z-a]*", "[a--b]*", "?" * 80, "[[alpha]]", "-*"]
)  # fmt: skip
def test_a_hostile_glob_matches_or_does_not(glob: str) -> None:
    answer(lambda: MATRIX.select(only=[glob]))


@given(st.lists(st.text(alphabet="cu123.-pyraytime*?[]!_", max_size=80), min_size=1, max_size=3))
def test_any_globs_select_known_cells_or_nothing(globs: list[str]) -> None:
    found = answer(lambda: ids(only=globs))
    assert found is None or set(found) <= {*CELLS, *CPU_CELLS}


@given(texts, texts, texts, texts)
def test_any_text_selects_a_known_cell_or_is_a_mistake(
    cuda: str, python: str, target: str, glob: str
) -> None:
    for filters in ({"cuda": [cuda]}, {"python": [python]}, {"target": [target]}, {"only": [glob]}):
        answer(partial(ids, **filters))


# -- one cell ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS + CPU_CELLS)
def test_every_cell_is_found_by_its_parts(name: str) -> None:
    wanted = next(cell for cell in MATRIX.cells if cell.id == name)
    assert MATRIX.cell(wanted.cuda, wanted.python, wanted.target) == wanted


def test_a_pair_that_the_matrix_does_not_have_names_those_that_it_has() -> None:
    assert (
        mistake(lambda: MATRIX.cell("13.1.1", "3.13", "devel"))
        == "the matrix has no pair of CUDA 13.1.1 with Python 3.13; "
        "pairs: 12.8.1 with 3.13, 12.8.1 with 3.14, 13.1.1 with 3.14, cpu with 3.13"
    )


@pytest.mark.parametrize("position", [0, 1, 2])
@nasty
def test_a_nasty_value_finds_no_cell(position: int, value: str) -> None:
    words = ["12.8.1", "3.13", "devel"]
    words[position] = value
    assert mistake(lambda: MATRIX.cell(*words)).startswith("unknown ")


@given(texts, texts, texts)
def test_any_values_find_a_cell_of_the_matrix_or_are_a_mistake(cuda: str, python: str, target: str) -> None:
    for words in ((cuda, "3.13", "devel"), ("12.8.1", python, "devel"), ("12.8.1", "3.13", target)):
        found = answer(partial(MATRIX.cell, *words))
        assert found is None or found in MATRIX.cells


# -- documents -----------------------------------------------------------------------------------------------


SHIPPED = tomllib.loads(shipped("matrix.toml"))


def changed(*path: str | int, value: object) -> Matrix:
    """Read the shipped matrix with one value replaced."""
    data = deepcopy(SHIPPED)
    table: Any = data
    for part in path[:-1]:
        table = table[part]
    table[path[-1]] = value
    return load(data, Matrix, "matrix.toml")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), 2, "key 'schema'"),
        (("pairs",), [], "key 'pairs'"),
        (("targets",), {}, "key 'targets'"),
        (("pairs", 0, "phase"), 1, "'phases'?); accepted: cuda, python, phases, default"),
        (("pairs", 0, "cuda"), "12.9.0", "CUDA 12.9.0 has no row in [cuda]; rows: 12.8.1, 13.1.1, cpu"),
        (("pairs", 1, "python"), "3.13", "12.8.1 with Python 3.13 stands twice"),
        (("pairs", 0, "python"), 3.13, "key 'pairs.0.python'"),
        (("pairs", 0, "python"), "2.7", "key 'pairs.0.python'"),
        (("pairs", 0, "phases"), {"runtime": 1}, "key 'pairs.0.phases.devel'"),
        (("pairs", 0, "phases", "runtime"), 0, "key 'pairs.0.phases.runtime'"),
        (("targets", "devel", "kind"), "develop", "key 'targets.devel.kind': Input should be 'devel' or 'runtime'"),
        (("targets", "devel", "layers"), ["marimo"], "layers are [], ['ray'] or ['ray', 'marimo']"),
        (("targets", "devel", "layers"), ["marimo", "ray"], "layers are [], ['ray'] or ['ray', 'marimo']"),
        (("targets", "devel", "layers"), "ray", "key 'targets.devel.layers'"),
        (("cuda", "12.8.1", "wheel_tag"), "cu12.8", "key 'cuda.12.8.1.wheel_tag'"),
        (("cuda", "12.8"), {"wheel_tag": "cu128"}, "key 'cuda.12.8.[key]'"),
        (("torch", "upstream", "12.8.1", "torch"), "2.11.0+cu128", "key 'torch.upstream.12.8.1.torch'"),
        (("pyg", "extensions", "torch-scatter", "version"), "latest", "key 'pyg.extensions.torch-scatter.version'"),
        (("pyg", "torch_geometric"), "2.8.1", "'torch-geometric'?); accepted: torch-geometric, extensions"),
        (("ray", "extras"), ["data,train]; id"], "key 'ray.extras.0'"),
        (("marimo", "port"), 0, "key 'marimo.port'"),
        (("marimo", "port"), 65536, "key 'marimo.port'"),
        (("marimo", "port"), True, "key 'marimo.port'"),
        (("image", "uid"), 0, "key 'image.uid'"),
        (("image", "name"), "Plumiiume/x", "key 'image.name'"),
        (("image", "workdir"), "workspace", "key 'image.workdir'"),
        (("limits", "job_gb"), float("inf"), "key 'limits.job_gb'"),
        (("limits", "job_gb"), float("nan"), "key 'limits.job_gb'"),
        (("limits", "uv_cache_gb"), 0, "key 'limits.uv_cache_gb'"),
        (("archs", "upstream", "12.8.1"), "sm_80", "key 'archs.upstream.12.8.1'"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_matrix_names_the_key(
    path: tuple[str | int, ...], value: object, message: str
) -> None:
    told = mistake(lambda: changed(*path, value=value))
    assert told.startswith("matrix.toml: ")
    assert message in told


def test_a_number_that_cannot_be_written_is_a_mistake() -> None:
    text = shipped("matrix.toml").replace("runtime = 1,", f"runtime = 0x{'f' * 5000},")
    assert "key 'pairs.0.phases.runtime'" in mistake(lambda: read_matrix(text))


def test_a_table_that_is_missing_is_named() -> None:
    text = shipped("matrix.toml").partition("[limits]")[0]
    assert mistake(lambda: read_matrix(text)) == "matrix.toml: key 'limits': Field required"


def test_a_table_with_another_name_is_told_first() -> None:
    text = shipped("matrix.toml").replace("[apt]", "[atp]")
    told = mistake(lambda: read_matrix(text))
    assert "unknown key 'atp' (did you mean 'apt'?); accepted: schema, image, pairs" in told


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Give every string of a document with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))


# Prose and an address for people: neither is part of a command line.
PROSE = {"note", "source", "takes", "waives"}
STRINGS = [item for item in leaves(SHIPPED) if not PROSE & set(item[0])]
TABLES = ("targets", "cuda", "torch", "torch.upstream", "pyg.extensions", "archs", "archs.upstream")
EVIL = {
    "newline": "\n",
    "return": "\r",
    "tab": "\t",
    "null": "\x00",
    "escape": "\x1b",
    "line separator": "\u2028",
    "substitution": "$(id)",
    "backquotes": "`id`",
    "quote": "'",
    "double quote": '"',
    "backslash": "\\",
    "pipe": "|",
    "background": "&",
    "comment": "#",
    "option": " --x",
    "path": "/../x",
}
evil_suffix = pytest.mark.parametrize("evil", list(EVIL.values()), ids=list(EVIL))


@evil_suffix
def test_no_string_of_a_matrix_takes_what_a_shell_or_a_terminal_reads(evil: str) -> None:
    assert len(STRINGS) > 80
    for path, value in STRINGS:
        told = mistake(partial(changed, *path, value=value + evil))
        assert told.startswith("matrix.toml: ")


@evil_suffix
def test_no_key_of_a_matrix_takes_it_either(evil: str) -> None:
    for name in TABLES:
        path = name.split(".")
        table: Any = SHIPPED
        for part in path:
            table = table[part]
        key, item = next(iter(table.items()))
        with_evil = {**table, key + evil: item}
        told = mistake(partial(changed, *path, value=with_evil))
        assert told.startswith("matrix.toml: ")


TYPES: dict[str, tuple[Any, str]] = {
    "Version": (Version, "0123456789.abcpostrdev"),
    "Word": (Word, "-._"),
    "DebianName": (DebianName, "-.+"),
    "AbsolutePath": (AbsolutePath, "-._/"),
    "Requirement": (Requirement, "-._[],<>=!~+* "),
    "ArchList": (ArchList, ".+PTX ;abcdefghijklmnopqrstuvwxyz"),
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
    assert not value.startswith("-")
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
        ["", "8", "8.0 ", "8.0  9.0", "8.0,9.0", "sm_80", "8.0+ptx"],
    ),
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


@given(texts)
def test_any_text_is_a_matrix_or_a_mistake(text: str) -> None:
    answer(lambda: read_matrix(text))
