"""`bump` changes pins in the matrix document, keeps the rest, and refuses what breaks a cell."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.config.matrix import read_matrix
from ci.updates.bump import Bump, bump, edit_document
from ci.updates.feasibility import UpdateContext
from ci.util.model import parse_toml
from tests.unit.fake_indexes import CHANNEL, FakeIndexes, pyg_address, recorded, settle, simple_page, upstream
from tests.unit.plans import shipped
from tests.unit.user_errors import mistake, nasty, texts

SHIPPED = shipped("matrix.toml")


DOCUMENT = """# What is built.
schema = 1

[[pairs]] # the first
cuda = "13.1.1"
python   = "3.14"

[torch.registries]
"12.8.1" = { torch = "2.9.1", torchvision = "0.24.1", torchaudio = "2.9.1" } # old
[torch.registries."13.1.1"]
torch = '2.11.0'   # single quotes
torchvision = "0.26.0"
torchaudio = "2.11.0"
[torch.registries.cpu]
torch = "2.11.0"
torchvision = "0.26.0"
torchaudio = "2.11.0"
[torch.upstream."12.8.1"]
torch = "2.11.0"
torchvision = "0.26.0"
torchaudio = "2.11.0"
[torch.upstream."13.1.1"]
torch = "2.11.0"
torchvision = "0.26.0"
torchaudio = "2.11.0"
[torch.upstream.cpu]
torch = "2.11.0"
torchvision = "0.26.0"
torchaudio = "2.11.0"

[pyg]
torch-geometric = "2.8.1"
[pyg.extensions]
pyg-lib       = { version = "0.8.0", sdist = false } # no source
torch-sparse  = { version = "0.6.17", sdist = true }
[ray]
version = "2.58.1"  # as the users want it
# the end
[marimo]
version = "0.25.1"
"""


def bumped(context: UpdateContext, indexes: FakeIndexes, *to: str, text: str = DOCUMENT) -> Bump:
    """Change the document."""
    return settle(context, indexes, lambda context: bump(context, text, "ci/matrix.toml", to))


def changed(found: Bump) -> list[tuple[str, str]]:
    """Return the lines that differ."""
    before, after = found.before.splitlines(), found.after.splitlines()
    assert len(before) == len(after)
    return [(old, new) for old, new in zip(before, after, strict=True) if old != new]


# -- what is changed -----------------------------------------------------------------------------------------


def test_everything_goes_to_the_newest_that_breaks_no_cell() -> None:
    assert changed(bumped(*recorded())) == [
        (
            '"12.8.1" = { torch = "2.9.1", torchvision = "0.24.1", torchaudio = "2.9.1" } # old',
            '"12.8.1" = { torch = "2.10.0", torchvision = "0.25.0", torchaudio = "2.10.0" } # old',
        ),
        ("torch = '2.11.0'   # single quotes", 'torch = "2.14.1"   # single quotes'),
        ('torchvision = "0.26.0"', 'torchvision = "0.29.2"'),
        ('torch = "2.11.0"', 'torch = "2.15.0"'),
        ('torchvision = "0.26.0"', 'torchvision = "0.29.2"'),
        (
            'torch-sparse  = { version = "0.6.17", sdist = true }',
            'torch-sparse  = { version = "0.6.18", sdist = true }',
        ),
        ('version = "2.58.1"  # as the users want it', 'version = "2.60.0"  # as the users want it'),
        ('version = "0.25.1"', 'version = "0.25.2"'),
    ]


def test_it_lists_what_changes_and_what_does_not_and_why() -> None:
    lines = bumped(*recorded()).lines
    assert (
        "torch@12.8.1 does not go to 2.15.0: cu12.8.1-py3.13: torch 2.15.0 is built for CUDA 13.2: no cu128"
        in lines
    )
    assert (
        "torch@12.8.1: torch 2.9.1 -> 2.10.0, torchvision 0.24.1 -> 0.25.0, torchaudio 2.9.1 -> 2.10.0"
        in lines
    )
    assert "ray: version 2.58.1 -> 2.60.0" in lines
    assert lines[-1].startswith("locks are for other pins now")


def test_one_name_changes_one_pin() -> None:
    found = bumped(*recorded(), "ray=2.59.0")
    assert changed(found) == [
        ('version = "2.58.1"  # as the users want it', 'version = "2.59.0"  # as the users want it')
    ]
    assert found.diff().startswith("--- a/ci/matrix.toml\n+++ b/ci/matrix.toml\n@@ ")
    assert '-version = "2.58.1"  # as the users want it\n' in found.diff()


def test_an_older_version_can_be_requested() -> None:
    found = bumped(*recorded(), "torch-geometric=2.7.0")
    assert changed(found) == [('torch-geometric = "2.8.1"', 'torch-geometric = "2.7.0"')]


def test_a_row_of_torch_changes_alone_with_what_goes_with_it() -> None:
    found = bumped(*upstream(), "torch@13.1.1=2.12.0")
    assert changed(found) == [
        ('torch = "2.11.0"', 'torch = "2.12.0"'),
        ('torchvision = "0.26.0"', 'torchvision = "0.27.0"'),
    ]
    assert read_rows(found.after, "upstream")["13.1.1"]["torch"] == "2.12.0"
    assert any("wheel: pyg-lib; compile: torch-scatter" in line for line in found.lines)


def test_each_requested_change_is_made_on_top_of_the_one_before() -> None:
    context, indexes = upstream('[[excludes]]\nonly = "cu13.1.1-py3.15-*-*"\nreason = "no Ray"\n')
    found = bumped(context, indexes, "torch@13.1.1=2.12.0", "pair=13.1.1/3.15")
    assert '[[pairs]]\ncuda = "13.1.1"\npython = "3.15"\n\n[torch.registries]\n' in found.after
    assert "pair 13.1.1/3.15: added" in found.lines


def test_a_request_for_the_pinned_version_changes_nothing() -> None:
    found = bumped(*recorded(), "ray=2.58.1")
    assert (found.after, found.diff(), found.lines) == (DOCUMENT, "", ("ray is at 2.58.1",))


def test_nothing_newer_changes_nothing() -> None:
    context, indexes = upstream()
    indexes.put(simple_page({"ray-2.60.0-py3-none-any.whl": ""}), name="ray")
    for tag in ("cu130", "cpu"):
        indexes.fail(pyg_address("2.12.0", tag), status=404)
        indexes.fail(f"https://download.pytorch.org/whl/{tag}", "torchvision", status=500)
    found = bumped(context, indexes)
    assert found.after == DOCUMENT
    assert found.lines[-1] == "nothing to change"


def test_an_index_that_does_not_answer_changes_nothing_of_its_own() -> None:
    context, indexes = recorded()
    indexes.fail(name="ray")
    found = bumped(context, indexes)
    assert 'version = "2.58.1"  # as' in found.after
    assert 'version = "0.25.2"' in found.after
    said = "ray stays at 2.58.1: its index could not be read: https://index.example/simple/ray/: [Errno 111]"
    assert any(line.startswith(said) for line in found.lines)


# -- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("ray", "bad change 'ray'; accepted: NAME=VERSION, such as ray=2.60.0"),
        ("ray=", "bad change 'ray='; accepted: NAME=VERSION, such as ray=2.60.0"),
        (
            "rai=2.60.0",
            (
                "unknown name 'rai' (did you mean 'ray'?); accepted: torch, torch@12.8.1, torch@13.1.1, torch@cpu, "
                "torch-geometric, pyg-lib, torch-scatter, torch-sparse, torch-cluster, torch-spline-conv, "
                "ray, marimo, pair"
            ),
        ),
        (
            "ray=2.60",
            "unknown version '2.60' of ray (did you mean 2.60.0?); accepted: 2.60.0, 2.59.0, 2.58.1, 2.58.0",
        ),
        ("pyg-lib=9", "unknown version '9' of pyg-lib; accepted: none"),
        (
            "torch=2.15.0",
            (
                "torch@12.8.1 does not go to 2.15.0: cu12.8.1-py3.13: torch 2.15.0 is built for CUDA 13.2: no cu128; "
                "a row of torch can be changed alone: torch@12.8.1, torch@13.1.1, torch@cpu"
            ),
        ),
        ("pair=13.1.1", "unknown Python version ''; accepted: 3.14, 3.13"),
        (
            "pair=13.1.2/3.14",
            "unknown CUDA version '13.1.2' (did you mean '13.1.1'?); accepted: 12.8.1, 13.1.1, cpu",
        ),
        ("pair=13.1.1/3.14", "the matrix has the pair 13.1.1/3.14"),
    ],
)
def test_a_mistake_is_reported_with_what_is_accepted(to: str, message: str) -> None:
    assert mistake(lambda: bumped(*recorded(), to)) == message


def test_a_name_is_given_once() -> None:
    assert mistake(lambda: bumped(*recorded(), "ray=2.59.0", "ray=2.60.0")) == "ray is given twice"


def test_a_long_list_of_versions_is_cut() -> None:
    context, indexes = recorded()
    indexes.put(simple_page({f"ray-2.{n}.0-py3-none-any.whl": "" for n in range(58, 70)}), name="ray")
    assert mistake(lambda: bumped(context, indexes, "ray=3")).endswith("2.63.0, 2.62.0, and older ones")


def test_a_version_that_breaks_a_cell_is_refused() -> None:
    context, indexes = recorded()
    names = ("ray-2.58.1-cp314-cp314", "ray-2.58.1-cp313-cp313", "ray-2.60.0-cp313-cp313")
    indexes.put(simple_page({f"{name}-manylinux2014_x86_64.whl": "" for name in names}), name="ray")
    assert mistake(lambda: bumped(context, indexes, "ray=2.60.0")) == (
        "ray does not go to 2.60.0: cu12.8.1-py3.14: ray 2.60.0 has no cp314 wheel; "
        "cells that [[excludes]] of the matrix names do not count"
    )


def test_a_pair_that_cannot_be_is_refused() -> None:
    assert mistake(lambda: bumped(*upstream(), "pair=13.1.1/3.15")).startswith(
        "cu13.1.1-py3.15-* cannot be made: torch 2.11.0+cu130 has no cp315 wheel"
    )


def test_a_version_that_cannot_be_checked_is_refused() -> None:
    context, indexes = recorded()
    indexes.fail(name="ray")
    assert "the index of ray could not be read" in mistake(lambda: bumped(context, indexes, "ray=2.60.0"))
    context, indexes = upstream()
    indexes.fail(CHANNEL, "python")
    assert "the list of Pythons could not be read" in mistake(
        lambda: bumped(context, indexes, "pair=cpu/3.15")
    )


def test_a_pair_that_cannot_be_checked_is_refused() -> None:
    added = bumped(*upstream(), "pair=13.1.1/3.13")
    assert "pair 13.1.1/3.13: added" in added.lines
    context, indexes = upstream()
    indexes.fail(name="ray")
    said = mistake(lambda: bumped(context, indexes, "pair=13.1.1/3.13"))
    assert said.startswith("cu13.1.1-py3.13-")
    assert "cannot be made: " in said
    assert "Connection refused" in said


@nasty
def test_any_malformed_request_is_refused_in_one_line(value: str) -> None:
    for to in (value, f"ray={value}", f"{value}=2.60.0", f"pair={value}/{value}"):
        mistake(lambda to=to: bumped(*recorded(), to))  # type: ignore[misc]


# -- the document --------------------------------------------------------------------------------------------


def read_rows(text: str, sources_name: str) -> dict[str, dict[str, str]]:
    """Return the rows of torch."""
    rows: dict[str, dict[str, str]] = parse_toml(text, "after")["torch"][sources_name]
    return rows


def paths(data: object, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List the paths of all texts in tables."""
    if isinstance(data, str):
        return [prefix]
    return (
        [path for key, value in data.items() for path in paths(value, (*prefix, key))]
        if isinstance(data, dict)
        else []
    )


PATHS = paths(parse_toml(SHIPPED, "matrix.toml"))


@given(st.sampled_from(PATHS), st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}", fullmatch=True))
def test_one_value_changes_one_line_of_the_modules_matrix(path: tuple[str, ...], value: str) -> None:
    after = edit_document(SHIPPED, {path: value}).splitlines()
    before = SHIPPED.splitlines()
    assert len(after) == len(before)
    differ = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(differ) <= 1
    for old, new in differ:
        assert value in new
        assert old.partition(" #")[2] == new.partition(" #")[2], "the comment of the line stays"


@given(st.lists(texts.filter(lambda text: "\ud800" not in text), max_size=4), st.sampled_from(["\n", "\r\n"]))
def test_comments_of_any_kind_stay(comments: Sequence[str], end: str) -> None:
    said = [f"# {''.join(c for c in text if c.isprintable())}" for text in comments]
    text = end.join([*said, "[ray] # here", 'version = "1"  # there', *said])
    assert edit_document(text, {("ray", "version"): "2"}) == text.replace('"1"', '"2"')


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n# the end"])
def test_a_pair_is_added_wherever_the_pairs_are(end: str) -> None:
    for text in (
        f'[[pairs]]\ncuda = "1"\npython = "2"{end}',
        f'pairs = [{{ cuda = "1", python = "2" }}]{end}',
    ):
        after = parse_toml(edit_document(text, {}, [("3", "4")]), "after")
        assert after == {"pairs": [{"cuda": "1", "python": "2"}, {"cuda": "3", "python": "4"}]}


def test_the_modules_matrix_with_a_new_pair_is_a_matrix() -> None:
    after = read_matrix(edit_document(SHIPPED, {("ray", "version"): "99.0"}, [("13.1.1", "3.99")]))
    assert (after.pairs[-1].python, after.ray.version) == ("3.99", "99.0")
    assert len(after.cells) == len(read_matrix(SHIPPED).cells) + 6


def test_without_changes_the_text_is_the_same() -> None:
    assert edit_document("x = 1 # \t odd\r\n", {}) == "x = 1 # \t odd\r\n"
