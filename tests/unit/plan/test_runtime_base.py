"""The base of runtime images: what each variant leaves out of it."""

import pytest

from ci.generate.dockerfile import dockerfile
from ci.plan.inputs import Options
from ci.plan.plan import Plan
from ci.plan.stages.runtime_base import RuntimeBaseSpec
from tests.unit.plans import inputs, plan

RUNTIME = "cu12.8.1-py3.13-runtime"


def parents(made: Plan) -> list[str]:
    """Return the stages that the runtime base is made from."""
    return [parent.name for parent in made.stage("runtime-base").parents]


@pytest.mark.parametrize("sources_name", ["upstream", "registries"])
def test_a_variant_without_the_toolkit_has_nothing_of_it(sources_name: str) -> None:
    usual = plan(RUNTIME, sources_name)
    minimal = plan(RUNTIME, sources_name, options=Options(variant="minimal"))
    assert (usual.spec("runtime-base", RuntimeBaseSpec).adds_toolkit, parents(usual)) == (True, ["toolkit"])
    spec = minimal.spec("runtime-base", RuntimeBaseSpec)
    assert (spec.adds_toolkit, parents(minimal)) == (False, [])
    assert minimal.stage("runtime-base").reason.startswith("no compilers on ")
    assert set(spec.apt) < set(usual.spec("runtime-base", RuntimeBaseSpec).apt)
    assert not {"gcc", "g++"} & set(spec.apt)


def test_its_dockerfile_copies_no_toolkit_into_the_runtime() -> None:
    for options, copied in ((Options(), True), (Options(variant="minimal"), False)):
        made = plan(RUNTIME, "registries", options=options)
        text = dockerfile([made], "dockerfiles/x", inputs("registries").locks.paths_by_text())["Dockerfile"]
        (stage,) = (part for part in text.split("\nFROM ") if " AS runtime-base\n" in part)
        assert ("COPY --from=toolkit " in stage) is copied


def test_a_runtime_without_cuda_has_no_toolkit_either() -> None:
    made = plan("cpu-py3.13-runtime", "registries")
    assert (made.spec("runtime-base", RuntimeBaseSpec).adds_toolkit, parents(made)) == (False, [])
