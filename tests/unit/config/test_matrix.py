"""The matrix: its cells, their names and phases, and what a document may hold."""

import tomllib
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
from hypothesis import given

from ci.config.matrix import Cell, Matrix, default_matrix, read_matrix
from ci.config.selection import select_cells
from ci.util.model import load_model
from tests.unit.plans import CELLS, PAIRS, TARGETS, shipped
from tests.unit.user_errors import answer, mistake, texts

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
    return tuple(cell.id for cell in select_cells(MATRIX, **filters))


def matching(*words: str) -> tuple[str, ...]:
    """Return the ids of the 18 cells that hold every word."""
    return tuple(name for name in CELLS if all(word in name for word in words))


# -- what there is ---------------------------------------------------------------------------------------------


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


# -- phases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_selects_its_cells(phase: int) -> None:
    assert ids(phase=[phase]) == PHASES[phase]


@pytest.mark.parametrize("phase", PHASES)
def test_a_cell_knows_its_phase(phase: int) -> None:
    assert {MATRIX.phase_of(cell) for cell in MATRIX.cells if cell.id in PHASES[phase]} == {phase}


def test_cells_of_the_cpu_pair_have_no_phase() -> None:
    assert {MATRIX.phase_of(cell) for cell in MATRIX.cells if cell.cuda == "cpu"} == {None}


def test_all_phases_together_are_the_whole_matrix() -> None:
    assert ids(phase=[5, 4, 3, 2, 1]) == CELLS


# -- documents -------------------------------------------------------------------------------------------------


SHIPPED = tomllib.loads(shipped("matrix.toml"))


def changed(*path: str | int, value: object) -> Matrix:
    """Read the shipped matrix with one value replaced."""
    data = deepcopy(SHIPPED)
    table: Any = data
    for part in path[:-1]:
        table = table[part]
    table[path[-1]] = value
    return load_model(data, Matrix, "matrix.toml")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), 2, "key 'schema'"),
        (("pairs",), [], "key 'pairs'"),
        (("targets",), {}, "key 'targets'"),
        (("pairs", 0, "phase"), 1, "'phases'?); accepted: cuda, python, phases, default"),
        (("pairs", 0, "cuda"), "12.9.0", "CUDA 12.9.0 has no row in [cuda]; rows: 12.8.1, 13.1.1, cpu"),
        (("pairs", 1, "python"), "3.13", "12.8.1 with Python 3.13 is given twice"),
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
    error = mistake(lambda: changed(*path, value=value))
    assert error.startswith("matrix.toml: ")
    assert message in error


def test_a_number_that_cannot_be_written_is_a_mistake() -> None:
    text = shipped("matrix.toml").replace("runtime = 1,", f"runtime = 0x{'f' * 5000},")
    assert "key 'pairs.0.phases.runtime'" in mistake(lambda: read_matrix(text))


def test_a_table_that_is_missing_is_named() -> None:
    text = shipped("matrix.toml").partition("[limits]")[0]
    assert mistake(lambda: read_matrix(text)) == "matrix.toml: key 'limits': Field required"


def test_a_table_with_another_name_is_named_first() -> None:
    text = shipped("matrix.toml").replace("[apt]", "[atp]")
    error = mistake(lambda: read_matrix(text))
    assert "unknown key 'atp' (did you mean 'apt'?); accepted: schema, image, pairs" in error


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
        error = mistake(partial(changed, *path, value=value + evil))
        assert error.startswith("matrix.toml: ")


@evil_suffix
def test_no_key_of_a_matrix_takes_it_either(evil: str) -> None:
    for name in TABLES:
        path = name.split(".")
        table: Any = SHIPPED
        for part in path:
            table = table[part]
        key, item = next(iter(table.items()))
        with_evil = {**table, key + evil: item}
        error = mistake(partial(changed, *path, value=with_evil))
        assert error.startswith("matrix.toml: ")


@given(texts)
def test_any_text_is_a_matrix_or_a_mistake(text: str) -> None:
    answer(lambda: read_matrix(text))


def test_one_number_is_the_memory_of_all_kinds_of_jobs() -> None:
    found = changed("limits", "job_gb", value=2.5).limits.job_gb
    assert set(found.model_dump().values()) == {2.5}
    for bad in (0, True, "2.5"):
        assert "job_gb" in mistake(partial(changed, "limits", "job_gb", value=bad))
