"""The wheels of PyG's page: with their hashes, where the page has them, for the program that installs them."""

from dataclasses import replace

import pytest

from ci.stages.builder import ImageBuilder
from ci.stages.context import BuildContext
from tests.stand_ins.stand_in_engine import StandInEngine, instead_of_an_engine
from tests.unit.plans import plan, pyg_page

HASH = "ab" * 32


@pytest.mark.parametrize("known", [0, 1])
async def test_the_hashes_of_a_page_lie_beside_its_wheels(known: int) -> None:
    page = pyg_page(["pyg_lib", "torch_scatter"])
    links = [f"{link}#sha256={HASH}" if number < known else link for number, link in enumerate(page.links)]
    made = plan("cu12.8.1-py3.13-runtime", page=replace(page, links=tuple(links)))
    engine = StandInEngine()
    with instead_of_an_engine(engine):
        await ImageBuilder(made, BuildContext()).build_stage("pyg")
    sums = {
        call.given["contents"]
        for call in engine.calls
        if call.name == "withNewFile" and call.given["path"] == "SHA256SUMS"
    }
    names = ("pyg_lib-0.8.0+pt211cu128", "torch_scatter-2.1.2+pt211cu128")
    lines = [f"{HASH}  {name}-cp313-cp313-linux_x86_64.whl\n" for name in names[:known]]
    assert sums == ({"".join(lines)} if known else set())
