"""A pair's Dockerfile: every stage is there before it is used, commands are those of the stages, nothing is random."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ci.config.selection import select_pair
from ci.generate.dockerfile import dockerfile
from ci.plan.dockerfile_writer import INDEX_ARGUMENTS, DockerfileWriter
from ci.plan.inputs import Options
from ci.plan.installs import InstallSpec
from ci.plan.pair import list_extension_pages
from ci.plan.plan import Plan
from ci.plan.planner import Planner
from ci.plan.stages import STAGES
from ci.plan.stages.conda import CondaSpec, create_env_command
from ci.plan.stages.wheels import WheelsSpec, compile_wheels_command
from tests.unit.plans import TARGETS, inputs, pyg_page
from tests.unit.user_errors import mistake

ROOT = Path(__file__).parents[3]
PAIRS = (("12.8.1", "3.13"), ("12.8.1", "3.14"), ("13.1.1", "3.14"), ("cpu", "3.13"))
ALL = [(sources_name, *pair) for sources_name in ("upstream", "registries") for pair in PAIRS]


def plans(sources_name: str, cuda: str, python: str, options: Options | None = None) -> list[Plan]:
    """Plan a pair; the sources' page of PyG wheels has some of them."""
    stand = inputs(sources_name)
    cells = select_pair(stand.matrix, cuda, python)
    some = pyg_page(["pyg_lib", "torch_scatter"])
    pages = {some.address: some} if some.address in list_extension_pages(cells[0], stand) else {}
    planner = Planner(stand, pages, options)
    return [planner.plan(cell) for cell in cells]


def written(sources_name: str, cuda: str, python: str, options: Options | None = None) -> dict[str, str]:
    """Write a pair's files."""
    made = plans(sources_name, cuda, python, options)
    return dockerfile(made, f"dockerfiles/{made[0].cell.pair_id}", inputs(sources_name).locks.paths_by_text())


@pytest.mark.parametrize(("sources_name", "cuda", "python"), ALL)
def test_every_target_is_a_stage_and_every_stage_comes_before_it_is_used(
    sources_name: str, cuda: str, python: str
) -> None:
    known: set[str] = set()
    for line in written(sources_name, cuda, python)["Dockerfile"].splitlines():
        for used in re.findall(r"--from=([a-z-]+)|from=([a-z-]+),", line):
            assert set(used) & known, line
        if line.startswith("FROM "):
            _, parent, _, name = line.split()
            assert parent in known or ":" in parent or parent == "scratch", line
            assert name not in known, line
            known.add(name)
    assert set(TARGETS) <= known


@pytest.mark.parametrize(("sources_name", "cuda", "python"), ALL)
def test_every_file_that_a_step_reads_is_there(sources_name: str, cuda: str, python: str) -> None:
    files = written(sources_name, cuda, python)
    made = plans(sources_name, cuda, python)
    beside = {f"dockerfiles/{made[0].cell.pair_id}/{name}" for name in files}
    read = set(re.findall(r"type=bind,source=([^,]+),", files["Dockerfile"]))
    read |= set(re.findall(r"^COPY (?:--chmod=\d+ )?(ci/\S+)", files["Dockerfile"], re.MULTILINE))
    assert read
    assert [path for path in sorted(read) if path not in beside and not (ROOT / path).exists()] == []
    assert beside - read == {f"dockerfiles/{made[0].cell.pair_id}/Dockerfile"}


@pytest.mark.parametrize(("sources_name", "cuda", "python"), ALL)
def test_the_steps_are_those_of_the_stages(sources_name: str, cuda: str, python: str) -> None:
    text = re.sub("['\"]", "", written(sources_name, cuda, python)["Dockerfile"])
    plan = plans(sources_name, cuda, python)[-1]
    wanted = [create_env_command(plan.spec("conda", CondaSpec), "/var/cache/cslr-images/conda")]
    if plan.has("wheels"):
        spec = plan.spec("wheels", WheelsSpec)
        wanted.append(compile_wheels_command(spec, "/run/sdists.txt", "/opt/wheels", None))
    for command in wanted:
        assert " ".join(command) in text
    for installed in (plan.spec("torch", InstallSpec), plan.spec("marimo", InstallSpec)):
        # Pins without hashes stand in the step; what is locked is a file, which is beside it or in the repository.
        in_step = all(line in text for line in installed.requirements.splitlines())
        assert in_step is not installed.hashed


@pytest.mark.parametrize(("sources_name", "locked"), [("upstream", False), ("registries", True)])
def test_what_is_locked_is_installed_by_its_hashes(sources_name: str, *, locked: bool) -> None:
    text = written(sources_name, "12.8.1", "3.13")["Dockerfile"]
    steps = re.findall(r"install_packages\.sh /opt/env (\S+) (?:yes|no) \d+(.*)$", text, re.MULTILINE)
    assert len(steps) == 5, "torch, PyG, video, Ray and marimo"
    for lines, options in steps:
        assert ("--require-hashes" in options) is locked
        assert lines == ("/run/requirements.txt" if locked else "-")


def test_two_plans_of_one_pair_write_the_same() -> None:
    assert written("upstream", "12.8.1", "3.13") == written("upstream", "12.8.1", "3.13")


def test_another_version_of_ray_changes_the_steps_of_ray_and_no_step_before() -> None:
    stand = inputs("upstream", changes='[ray]\nversion = "2.60.1"\n')
    planner = Planner(stand, {})
    changed = [planner.plan(cell) for cell in select_pair(stand.matrix, "13.1.1", "3.14")]
    after = dockerfile(changed, "dockerfiles/cu13.1.1-py3.14", stand.locks.paths_by_text())["Dockerfile"]
    before = written("upstream", "13.1.1", "3.14")["Dockerfile"]
    steps = [text.split("\nFROM ") for text in (before, after)]
    names = [one.split("\n", 1)[0].split()[-1] for one, other in zip(*steps, strict=True) if one != other]
    assert names == ["ray", "ray-devel", "ray-runtime", "marimo-devel", "marimo-runtime"]


def test_a_wheel_with_a_known_hash_is_checked() -> None:
    stand = inputs("upstream")
    page = pyg_page(["pyg_lib", "torch_scatter"])
    hashed = replace(page, links=(f"{page.links[0]}#sha256={'ab' * 32}", *page.links[1:]))
    planner = Planner(stand, {page.address: hashed})
    made = [planner.plan(cell) for cell in select_pair(stand.matrix, "12.8.1", "3.13")]
    text = dockerfile(made, "dockerfiles/x", stand.locks.paths_by_text())["Dockerfile"]
    added = re.findall(r"^ADD (.*)https://\S+/(\w+)-\S+\.whl /wheels/(\w+)-\S+\.whl$", text, re.MULTILINE)
    assert added == [
        (f"--checksum=sha256:{'ab' * 32} ", "pyg_lib", "pyg_lib"),
        ("", "torch_scatter", "torch_scatter"),
    ]


@pytest.mark.parametrize("mode", ["nightly", "source"])
def test_ray_comes_from_where_it_is_asked_for(mode: str) -> None:
    text = written("upstream", "12.8.1", "3.13", Options(ray=mode))["Dockerfile"]  # type: ignore[arg-type]
    assert "AS ray-wheel" in text
    assert ("build_ray.sh" in text) == (mode == "source")


def test_stripping_is_a_step_of_each_layer() -> None:
    text = written("registries", "13.1.1", "3.14", Options(variant="slim"))["Dockerfile"]
    assert len(re.findall(r"strip_libs\.py /opt/(packed|added) --mode unneeded$", text, re.MULTILINE)) == 4


def test_cudas_libraries_are_a_layer_of_their_own() -> None:
    text = written("registries", "12.8.1", "3.14")["Dockerfile"]
    own = "COPY --from=packed-default /opt/packed/lib/python3.14/site-packages/nvidia /opt/env/lib/nvidia\n"
    for base in ("base", "runtime-base"):
        names = f"COPY --from={base}-names /opt/names /\n"
        assert text.count(own + names + "COPY --from=packed-default-rest /opt/packed /opt/env\n") == 1
        assert f"--mount=type=bind,from={base},source=/,target=/run/base" in text
    assert (
        "link_libraries.py /opt/packed/lib/python3.14/site-packages/nvidia /opt/links --at ../../nvidia"
        in text
    )
    assert "site-packages/nvidia" not in written("upstream", "cpu", "3.13")["Dockerfile"]


def test_a_runtime_without_toolkit_names_no_libraries() -> None:
    text = written("registries", "12.8.1", "3.14", Options(variant="minimal"))["Dockerfile"]
    assert ("runtime-base-names" in text, "\nFROM base AS base-names" in text) == (False, True)


def test_compiling_to_bytecode_is_the_last_step_of_each_layer() -> None:
    text = written("registries", "13.1.1", "3.14")["Dockerfile"].replace("'", "")
    stages = {stage.split("\n", 1)[0]: stage for stage in text.split("\nFROM ")}
    compiled = [
        name for name, stage in stages.items() if "/compile_env.py /opt/" in stage.rsplit("RUN", 1)[-1]
    ]
    assert sorted(name.split(" AS ")[1] for name in compiled) == [
        "marimo-added-default",
        "packed-default",
        "ray-added-default",
        "video-added-default",
    ]
    assert "/opt/env/bin/python -B" in text


@pytest.mark.parametrize("sources_name", ["upstream", "registries"])
def test_every_stage_of_a_plan_is_written(sources_name: str) -> None:
    made = {stage.name for plan in plans(sources_name, "12.8.1", "3.13") for stage in plan.stages}
    assert {name for name in made if STAGES[name].write_dockerfile is None} == {"image"}


def test_apts_steps_do_not_know_the_package_index() -> None:
    stages = written("registries", "12.8.1", "3.13")["Dockerfile"].split("\nFROM ")[1:]
    before = [stage.split("install_debs.sh ", 1)[0] for stage in stages if "install_debs.sh " in stage]
    assert len(before) > 1
    for text in before:
        assert not any(f"ARG {name}" in text for name in INDEX_ARGUMENTS)


def test_the_file_says_what_its_reader_should_know() -> None:
    head, text = written("upstream", "12.8.1", "3.14")["Dockerfile"].split("\nFROM ", 1)
    assert "# cu12.8.1-py3.14 from the `upstream` sources.\n" in head
    assert "# Note: torch 2.11.0 is the last release with cu128 wheels" in head
    assert "# PyTorch Geometric, without pyg-lib: no wheel is known, and there is no source.\n" in text


def test_a_variant_without_conda_has_no_dockerfile() -> None:
    said = mistake(lambda: written("upstream", "13.1.1", "3.14", Options(variant="uv")))
    assert said == "Dockerfiles are written for variants with conda: uv has none"


@pytest.mark.parametrize(("sources_name", "cuda", "python"), ALL)
def test_no_instruction_repeats_what_a_stage_inherits(sources_name: str, cuda: str, python: str) -> None:
    known: dict[str, set[str]] = {}
    for stage in written(sources_name, cuda, python)["Dockerfile"].split("\nFROM ")[1:]:
        parent, _, name = stage.split("\n", 1)[0].split(" ")
        own = re.findall(
            r"^(?:ENV|LABEL|    (?!-)(?!sh |/|printf|env )).*?(\S+=.*?)(?: \\)?$", stage, re.MULTILINE
        )
        own += re.findall(r"^((?:ARG|WORKDIR|USER|ENTRYPOINT|CMD|EXPOSE) .*)$", stage, re.MULTILINE)
        inherited = known.get(parent, set())
        assert not inherited & set(own), name
        known[name] = inherited | set(own)


def test_programs_of_one_folder_are_mounted_as_one() -> None:
    mounts = DockerfileWriter.programs("trim_env.py")
    sources = [mount.partition("source=")[2].partition(",")[0] for mount in mounts]
    assert sources == ["ci/programs/trim_env.py", "ci/programs/common"]
    assert len(DockerfileWriter.programs("bazelisk")) == 1
    assert len(DockerfileWriter.programs("compile_env.py", "trim_env.py")) == 3
