"""Which checks an image has, by its target and variant, and their arguments."""

import json
from importlib import resources

import pytest

from ci.inspection.checks import checks_for, expected_versions
from ci.plan.inputs import Options
from ci.plan.stages.image import ImageSpec
from tests.unit.plans import CELLS, plan, pyg_page

COMPILED = ("cpp_extension_cuda", "extension_archs", "triton_compile", "cuda_libraries")
FIRST = ("versions", "imports", "standard_library", "pip_check", "train_step", "extension_ops")
USER = "no_root_needed"
JIT = ("cpp_extension_cpu", "torch_compile_cpu")
TOOLS = ("profiler_symbols", "pip_install")
VIDEO = "video"
CONDA = "conda_install"
PEOPLE = ("variables", "user_places", "user_site", "certificates", "apt_install")
CUDA = (*PEOPLE, "driver_mount")
LINKS = ("bytecode", "replace_packages", "copied_packages", "cuda_link")
LINKS_DEVEL = (*LINKS, "cmake_torch", "conda_tools")


def names(cell_id: str) -> tuple[str, ...]:
    """Return the names of a cell's checks; one that runs in several circumstances is named once."""
    return tuple(dict.fromkeys(check.name for check in checks_for(plan(cell_id))))


@pytest.mark.parametrize(
    ("cell_id", "expected_names"),
    [
        ("cu12.8.1-py3.13-devel", (*FIRST, *JIT, *COMPILED, *TOOLS, CONDA, *LINKS_DEVEL, *CUDA, VIDEO)),
        ("cu12.8.1-py3.13-runtime", (*FIRST, USER, *JIT, *COMPILED, *TOOLS, *LINKS, *CUDA, VIDEO)),
        ("cu12.8.1-py3.13-ray-devel",
         (*FIRST, *JIT, *COMPILED, *TOOLS, CONDA, *LINKS_DEVEL, *CUDA, VIDEO, "ray_task")),
        ("cu13.1.1-py3.14-ray-runtime", (*FIRST, USER, *JIT, *COMPILED, *TOOLS, *LINKS, *CUDA, VIDEO, "ray_task")),
        ("cu13.1.1-py3.14-marimo-devel",
         (*FIRST, *JIT, *COMPILED, *TOOLS, CONDA, *LINKS_DEVEL, *CUDA, VIDEO, "ray_task", "marimo_page", "completion")),
        ("cu12.8.1-py3.14-marimo-runtime",
         (*FIRST, USER, *JIT, *COMPILED, *TOOLS, *LINKS, *CUDA, VIDEO, "ray_task", "marimo_page", "completion")),
        ("cpu-py3.13-devel", (*FIRST, *JIT, *TOOLS, CONDA, "bytecode", "conda_tools", *PEOPLE, VIDEO)),
        ("cpu-py3.13-marimo-runtime",
         (*FIRST, USER, *JIT, *TOOLS, "bytecode", *PEOPLE, VIDEO, "ray_task", "marimo_page", "completion")),
    ],
)  # fmt: skip
def test_a_target_has_its_checks(cell_id: str, expected_names: tuple[str, ...]) -> None:
    assert names(cell_id) == expected_names


@pytest.mark.parametrize("cell_id", CELLS)
def test_every_runtime_can_still_compile_extensions(cell_id: str) -> None:
    # The users decided it: no runtime waives JIT compiling.
    assert {"cpp_extension_cpu", "torch_compile_cpu", "cpp_extension_cuda"} <= set(names(cell_id))


@pytest.mark.parametrize(
    ("variant", "gone"), [("slim", {"profiler_symbols"}), ("minimal", {*JIT, "profiler_symbols"})]
)
def test_a_variant_has_all_checks_but_those_that_it_waives(variant: str, gone: set[str]) -> None:
    made = plan("cu12.8.1-py3.13-ray-runtime", options=Options(variant=variant))
    lost = set(names("cu12.8.1-py3.13-ray-runtime")) - {check.name for check in checks_for(made)}
    assert gone <= lost == {name for name, _ in made.waives}
    assert ("cuda_link" in lost) == (variant == "minimal")
    assert all(reason for _, reason in made.waives)
    assert {"imports", "train_step", "extension_ops", "pip_install", "ray_task", *CUDA}.isdisjoint(lost)


@pytest.mark.parametrize(
    ("cell_id", "name", "expected"),
    [
        ("cu12.8.1-py3.13-runtime", "variables", ["as root"]),
        (
            "cu12.8.1-py3.13-runtime",
            "user_places",
            [
                "",
                "as any user",
                "with a home of somebody else",
                "with a read-only home",
                "on a read-only root",
            ],
        ),
        ("cu12.8.1-py3.13-devel", "user_site", ["", "as any user", "with a home of somebody else"]),
        ("cu12.8.1-py3.13-ray-runtime", "torch_compile_cpu", ["", "as any user"]),
        ("cu12.8.1-py3.13-ray-runtime", "ray_task", ["", "as any user"]),
        ("cu12.8.1-py3.13-ray-devel", "ray_task", [""]),
    ],
)
def test_a_check_runs_in_the_circumstances_that_count(cell_id: str, name: str, expected: list[str]) -> None:
    made = [check for check in checks_for(plan(cell_id)) if check.name == name]
    assert [check.circumstance.name for check in made] == expected
    assert [check.title for check in made] == [f"{name} {one}".strip() for one in expected]


def test_the_variables_that_shells_must_have_are_those_of_the_image_but_for_the_users_own() -> None:
    made = plan("cu12.8.1-py3.13-runtime")
    check = next(check for check in checks_for(made) if check.name == "variables")
    ((path, text),) = check.texts
    assert check.arguments == ("--expect", path, "--user", "cslr")
    env = dict(made.spec("image", ImageSpec).env)
    assert json.loads(text) == {name: env[name] for name in env if name not in ("HOME", "USER", "LOGNAME")}


def test_another_home_folder_holds_a_numpy_that_must_not_be_imported() -> None:
    made = [check for check in checks_for(plan("cu12.8.1-py3.14-runtime")) if check.name == "user_site"]
    ((path, text),) = made[-1].texts
    assert path == "/mnt/somebody/.local/lib/python3.14/site-packages/numpy/__init__.py"
    assert "raise ImportError" in text
    assert dict(made[-1].circumstance.variables)["HOME"] == "/mnt/somebody"


def test_a_variant_changes_no_devel_image() -> None:
    slim = plan("cu12.8.1-py3.13-devel", options=Options(variant="slim"))
    assert slim.digest == plan("cu12.8.1-py3.13-devel").digest
    assert slim.id == "cu12.8.1-py3.13-devel"


def test_the_name_of_an_image_has_its_variant() -> None:
    assert (
        plan("cu12.8.1-py3.13-runtime", options=Options(variant="slim")).id == "cu12.8.1-py3.13-runtime@slim"
    )


def test_every_check_has_a_program() -> None:
    programs = resources.files("ci").joinpath("programs/checks")
    for name in {name for cell_id in (*CELLS, "cpu-py3.13-devel") for name in names(cell_id)}:
        assert programs.joinpath(f"{name}.py").is_file(), name


def test_downloaded_wheels_are_not_checked_for_the_architectures() -> None:
    made = plan("cu12.8.1-py3.13-devel", page=pyg_page())
    assert "extension_archs" not in [check.name for check in checks_for(made)]


@pytest.mark.parametrize(
    ("archs", "expected"), [(None, "7.5 8.0 8.6 9.0 10.0 12.0+PTX"), ("8.0 9.0+PTX", "8.0 9.0+PTX")]
)
def test_the_architectures_are_those_of_the_plan(archs: str | None, expected: str) -> None:
    checks = checks_for(plan("cu12.8.1-py3.13-devel", options=Options(archs=archs)))
    arguments = {check.name: check.arguments for check in checks}
    assert arguments["cpp_extension_cuda"] == ("--expect", expected)
    compiled = ("torch-scatter", "torch-sparse", "torch-cluster", "torch-spline-conv")
    assert arguments["extension_archs"] == (*compiled, "--expect", expected)


def test_modules_without_bytecode_are_those_of_the_plan() -> None:
    without = '[bytecode]\nwithout = ["lib/python3.*/site-packages/pkg/**"]\n'
    shared = "lib/python3.*/site-packages/nvidia/**"
    for cell_id in ("cu12.8.1-py3.13-runtime", "cpu-py3.13-runtime"):
        checks = checks_for(plan(cell_id, changes=without))
        (check,) = (check for check in checks if check.name == "bytecode")
        ((path, text),) = check.texts
        assert check.arguments == ("--without", f"@{path}")
        assert text.splitlines() == ["lib/python3.*/site-packages/pkg/**", shared]


@pytest.mark.parametrize(
    ("cell_id", "sources_name", "arguments"),
    [
        ("cu12.8.1-py3.13-devel", "upstream", ("--torch",)),
        ("cu12.8.1-py3.13-devel", "registries", ()),
        ("cu13.1.1-py3.14-devel", "registries", ("--torch",)),
    ],
)
def test_torchs_files_for_cmake_are_checked_where_the_compiler_is_of_the_toolkits_version(
    cell_id: str, sources_name: str, arguments: tuple[str, ...]
) -> None:
    checks = {check.name: check.arguments for check in checks_for(plan(cell_id, sources_name))}
    assert checks["cmake_torch"] == arguments


VERSIONS = {
    "python": "3.13",
    "torch": "2.11.0+cu128",
    "torchvision": "0.26.0",
    "torchaudio": "2.11.0",
    "torchcodec": "0.11.1",
    "av": "18.1.0",
    "torch-geometric": "2.8.1",
    "torch-scatter": "2.1.2",
    "torch-sparse": "0.6.18",
    "torch-cluster": "1.6.3",
    "torch-spline-conv": "1.2.2",
    "toolkit": "12.8.1",
    "nvcc": "12.8.93",
    "ray": "2.60.0",
    "marimo": "0.25.2",
}


def test_the_expected_versions_are_passed_as_a_file_of_json() -> None:
    made = plan("cu12.8.1-py3.13-marimo-runtime")
    check = checks_for(made)[0]
    ((path, text),) = check.texts
    assert check.arguments == ("--expect", path)
    assert json.loads(text) == VERSIONS


def test_extensions_from_wheels_are_expected_like_compiled_ones() -> None:
    page = pyg_page(["pyg_lib", "torch_scatter"])
    assert expected_versions(plan("cu12.8.1-py3.13-marimo-runtime", page=page)) == {
        **VERSIONS,
        "pyg-lib": "0.8.0",
    }


def test_the_compiler_of_the_registries_sources_is_expected_with_its_own_version() -> None:
    found = expected_versions(plan("cu12.8.1-py3.13-devel", "registries"))
    assert (found["toolkit"], found["nvcc"]) == ("12.8.1", "12.4.131")
    assert not {"toolkit", "nvcc"} & set(expected_versions(plan("cpu-py3.13-devel")))


def test_versions_are_only_of_packages_that_the_target_has() -> None:
    assert "ray" not in expected_versions(plan("cu12.8.1-py3.13-runtime"))
    assert "marimo" not in expected_versions(plan("cu12.8.1-py3.13-ray-runtime"))


@pytest.mark.parametrize(
    ("mode", "version"), [("stable", "2.60.0"), ("nightly", "3.0.0.dev0"), ("source", "2.60.0")]
)
def test_the_version_of_ray_is_the_one_that_ray_itself_reports(mode: str, version: str) -> None:
    made = plan("cu12.8.1-py3.13-ray-runtime", options=Options.model_validate({"ray": mode}))
    assert expected_versions(made)["ray"] == version
