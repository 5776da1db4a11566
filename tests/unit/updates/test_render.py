"""Outdated pins are rendered as text and JSON, whatever the indexes respond."""

import json
from collections.abc import Callable

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ci.index.lookup import IndexQuery, IndexResponse
from ci.updates.feasibility import UpdateContext
from ci.updates.outdated import find_outdated
from ci.updates.render import render_json, render_text
from tests.unit.fake_indexes import FakeIndexes, recorded, settle, simple_page, upstream


def rendered(context: UpdateContext, indexes: FakeIndexes) -> str:
    """Render what is outdated as text."""
    return render_text(context, settle(context, indexes, find_outdated))


GARBAGE = [
    "",
    "<p>log in</p>",
    "{",
    '{"tags": ["99999999999.1.1-base-ubuntu24.04", "13.10.0-base-ubuntu24.04", "13.10.0-cudnn-devel-ubuntu24.04"]}',
    '[["4.0.0", "h"], ["3.999.1", "h"], ["3.15.1", "h_cp315"], ["x", "y"]]',
    simple_page({f"{name}-{'9' * 50}-py3-none-any.whl": "" for name in ("torch", "ray", "marimo")}),
    simple_page({f"{name}-1!9.9+cu130-py3-none-any.whl": "" for name in ("torch", "ray", "torchvision")}),
    simple_page({"torch-99.0+cu130-py3-none-any.whl": 'data-core-metadata="true" data-requires-python="?"'}),
    "Requires-Dist: nvidia-cuda-runtime==13.*\nRequires-Dist: torch===x\n",
    "Requires-Dist: cuda-toolkit==13.10.1\n",
]


@settings(max_examples=25, phases=[Phase.generate])  # shrinking would take minutes
@given(st.data())
def test_any_response_is_rendered_in_printable_lines(data: st.DataObject) -> None:
    for context, indexes in (recorded(), upstream()):
        answer = indexes.answer

        def mixed(query: IndexQuery, answer: Callable[[IndexQuery], IndexResponse] = answer) -> IndexResponse:
            good = answer(query)
            bad = data.draw(st.none() | st.sampled_from([*GARBAGE, 403, 500]))
            if isinstance(bad, int):
                return good.model_copy(update={"status": bad, "problem": "HTTP\n\x1b[2K", "bodies": ()})
            return good if bad is None else good.model_copy(update={"bodies": (bad,), "problem": None})

        indexes.answer = mixed  # type: ignore[method-assign]
        assert all(line.isprintable() for line in rendered(context, indexes).splitlines())


def test_the_text_has_a_line_for_each_pin_and_groups_cells() -> None:
    lines = rendered(*recorded()).splitlines()
    assert "torch@13.1.1       2.11.0     2.15.0     2.14.1" in lines
    assert (
        "      cu13.1.1-py3.14-*: possible: left out: pyg-lib; "
        "compile: torch-scatter, torch-sparse, torch-cluster, torch-spline-conv"
    ) in lines
    assert "    0.25.2: no cell changes" in lines
    assert any(
        "cu13.1.1-py3.15-{devel,runtime}: possible" in line for line in rendered(*upstream()).splitlines()
    )


def test_the_json_has_everything() -> None:
    context, indexes = recorded()
    indexes.fail(name="uv")
    data = json.loads(render_json(context, settle(context, indexes, find_outdated)))
    assert data["sources"] == "registries"
    assert [one["address"] for one in data["unread"]] == ["https://index.example/simple/uv/"]
    (row,) = (one for one in data["findings"] if one["name"] == "torch@13.1.1")
    assert row["takes"] == "2.14.1"
    assert row["offers"][1]["effects"][0]["extensions"]["torch-sparse"] == "compile"
