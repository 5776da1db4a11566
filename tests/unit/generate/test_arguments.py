"""One Dockerfile for many pairs gives, with a pair's arguments, what the pair's own Dockerfile has."""

import re

import pytest

from ci.generate.arguments import Argument, NotAlikeError, list_arguments, merge_pairs, merge_texts
from ci.generate.dockerfile import dockerfile, write_stages
from ci.generate.dockerfiles import write_dockerfiles
from ci.plan.planner import Planner
from tests.unit.plans import inputs

TAG = Argument("TAG", "${TAG}", ("cu128", "cu130"))
CUDA = Argument("CUDA", "${CUDA}", ("12.8.1", "13.1.1"))
MINOR = Argument("CUDA", "${CUDA%.*}", ("12.8", "13.1"))
ARCHS = Argument("ARCHS", "${ARCHS}", ("8.0 9.0", "8.0 9.0"))
ALL = [TAG, MINOR, CUDA, ARCHS]


@pytest.mark.parametrize(
    ("texts", "merged"),
    [
        (("", ""), ""),
        (("same 12.8.1", "same 12.8.1"), "same 12.8.1"),
        (("cu12.8.1 cu128", "cu13.1.1 cu130"), "cu${CUDA} ${TAG}"),
        (("--cuda 12.8", "--cuda 13.1"), "--cuda ${CUDA%.*}"),
        (("12.8.1/12.8/12.8.1", "13.1.1/13.1/13.1.1"), "${CUDA}/${CUDA%.*}/${CUDA}"),
        (("8.0 9.0", "8.0 9.0"), "${ARCHS}"),
        (("8.0 9.0 ", "8.0 9.0 "), "8.0 9.0 "),
    ],
)
def test_texts_that_differ_in_arguments_are_one(texts: tuple[str, str], merged: str) -> None:
    assert merge_texts(texts, ALL) == merged


@pytest.mark.parametrize(
    "texts",
    [
        ("12.8.1", "13.1.2"),
        ("12.8.1", ""),
        ("a", "ab"),
        ("cu128", "cu13"),
        ("torch==1 --hash=sha256:12.8.1", "torch==1 --hash=sha256:13.1.1"),
    ],
)
def test_texts_that_differ_otherwise_are_not_alike(texts: tuple[str, str]) -> None:
    with pytest.raises(NotAlikeError):
        merge_texts(texts, ALL)


def expand(text: str, values: dict[str, str]) -> str:
    """Replace arguments by their values, as a shell does."""
    cut = re.sub(r"\$\{(\w+)%\.\*\}", lambda found: values[found[1]].rpartition(".")[0], text)
    return re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], cut)


def steps(text: str) -> list[str]:
    """Return the instructions, without what may differ: declarations, quotes, the names of apt's caches."""
    lines = text[text.index("\n# The devel base") :].splitlines()
    plain = (re.sub(r"id=cslr-images-apt-[^,]+|['\"]", "", line) for line in lines)
    return [line for line in plain if not line.startswith("ARG ")]


def test_with_the_arguments_of_a_pair_it_is_the_dockerfile_of_the_pair() -> None:
    stand = inputs("upstream")
    planner, known = Planner(stand, {}), stand.locks.paths_by_text()
    plans = [planner.plan(cell) for cell in stand.matrix.built]
    written = write_dockerfiles(plans, stand.matrix, known)
    assert {file.path for file in written.pairs.values()} == {
        "dockerfiles/Dockerfile",
        "dockerfiles/cpu.Dockerfile",
    }
    known = {**known, **{text: path for path, text in written.files.items()}}
    for pair, file in written.pairs.items():
        own = dockerfile([plan for plan in plans if plan.cell.pair_id == pair], "dockerfiles", known)[
            "Dockerfile"
        ]
        assert steps(expand(written.files[file.path], dict(file.arguments))) == steps(own)


def test_a_variable_is_declared_in_a_stage_before_it_is_used() -> None:
    stand = inputs("upstream")
    planner = Planner(stand, {})
    plans = [planner.plan(cell) for cell in stand.matrix.built]
    text = write_dockerfiles(plans, stand.matrix, stand.locks.paths_by_text()).files["dockerfiles/Dockerfile"]
    head, *stages = text.split("\nFROM ")
    assert set(re.findall(r"^ARG (\w+)=", head, re.MULTILINE)) == set(re.findall(r"\$\{(\w+)", text))
    declared: dict[str, set[str]] = {}
    for stage in stages:
        first, *lines = stage.split("\n")
        parent, _, name = first.split(" ")
        known = declared.setdefault(name, set(declared.get(parent, ())))
        for line in lines:
            if line.startswith("ARG "):
                words = {word.partition("=")[0] for word in line.split()[1:]}
                assert not words & known, "declared again"
                known |= words
            assert set(re.findall(r"\$\{(\w+)", line)) <= known, line


def test_an_argument_in_single_quotes_would_not_be_replaced() -> None:
    stand = inputs("upstream")
    planner = Planner(stand, {})
    plans = [planner.plan(cell) for cell in stand.matrix.built if cell.cuda != "cpu"]
    pairs = [
        [plan for plan in plans if plan.cell.pair_id == pair]
        for pair in {plan.cell.pair_id: 0 for plan in plans}
    ]
    merged = merge_pairs(pairs, list_arguments(pairs, stand.matrix))
    text = "\n".join(write_stages(merged, "x", stand.locks.paths_by_text()).lines)
    quoted = re.findall(r"\"[^\"\n]*\"|'[^'\n]*'", text)
    assert [words for words in quoted if words[0] == "'" and "${" in words] == []
    assert '"python=${PYTHON}.*"' in text
