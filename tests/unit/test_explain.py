"""A plan in words, as `dagger call plan` prints it."""

import re

from ci.explain import explain
from tests.unit.planning import plan, pyg_page

DIGEST = re.compile(r"\b[0-9a-f]{12}\b")


def words(text: str) -> str:
    """Return a text with its digests left out."""
    return DIGEST.sub("…", text)


def test_a_plan_reads_as_a_table_of_stages_with_reasons_and_notes() -> None:
    made = plan(
        "cu13.1.1-py3.14-ray-runtime", page=pyg_page(["torch_scatter", "pyg_lib"], "cp314", tag="cu130")
    )
    missing = "no cp314 wheel on the PyG page for torch 2.11.0+cu130"
    assert words(explain(made)) == (
        "cu13.1.1-py3.14-ray-runtime  plan …\n"
        "  toolkit       …  compiler and headers out of nvidia/cuda:13.1.1-cudnn-devel-ubuntu24.04\n"
        "  base          …  compilers and tools on nvidia/cuda:13.1.1-cudnn-devel-ubuntu24.04\n"
        "  conda         …  CPython 3.14 at /opt/env\n"
        "  torch         …  torch 2.11.0 built for CUDA 13.0\n"
        "  wheels        …  compile torch-sparse==0.6.18, torch-cluster==1.6.3, torch-spline-conv==1.2.2"
        " for 7.5 8.0 8.6 9.0 10.0 12.0+PTX\n"
        "  pyg           …  pyg-lib 0.8.0: wheel; torch-scatter 2.1.2: wheel;"
        f" torch-sparse 0.6.18: compile ({missing}); torch-cluster 1.6.3: compile ({missing});"
        f" torch-spline-conv 1.2.2: compile ({missing})\n"
        "  ray           …  Ray 2.60.0 from the package index\n"
        "  runtime-base  …  compilers for JIT on nvidia/cuda:13.1.1-base-ubuntu24.04;"
        " torch's wheels bring CUDA's libraries\n"
        "  pack          …  the environment as conda-pack exports it for /opt/env\n"
        "  image         …  cu13.1.1-py3.14-ray-runtime: user, environment, labels\n"
        "  note: PyTorch publishes no cu131 wheels: cu130 with the 13.1 toolkit"
        " (a minor difference, which torch accepts)\n"
    )


def test_the_digests_are_the_stages_own() -> None:
    made = plan("cu12.8.1-py3.13-runtime")
    shown = DIGEST.findall(explain(made))
    assert shown == [made.digest[:12], *(stage.digest[:12] for stage in made.stages)]


def test_a_note_cannot_forge_a_line() -> None:
    made = plan("cu12.8.1-py3.13-devel", changes='cuda."12.8.1".note = "a\\n  image  forged\\u001b[2J"')
    assert "  note: a image forged?[2J\n" in explain(made)
    assert len(explain(made).splitlines()) == 1 + len(made.stages) + len(made.notes)
