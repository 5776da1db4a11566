"""A project's page gives versions and the files that fit a Python, and no page does harm."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from ci.index.projects import Project, python_allowed, read_metadata, read_project
from tests.unit.fake_indexes import INDEX, PAGES, simple_page
from tests.unit.user_errors import texts

WHEEL = "ray-1.0-cp313-cp313-manylinux2014_x86_64.whl"


def project(*files: str, name: str = "ray", attributes: str = "") -> Project:
    """Read a page with some files."""
    return read_project(name, f"{INDEX}/{name}/", simple_page(dict.fromkeys(files, attributes)))


def load_pages(name: str) -> Project:
    """Read a recording."""
    path = next(PAGES.glob(f"{name}.*"))
    return read_project(name, f"{INDEX}/{name}/", path.read_text("utf-8"))


def versions(found: Project, local: str | None = None) -> list[str]:
    """Return the versions of a project as text."""
    return [str(one) for one in found.versions(local)]


# -- what PyPI serves ----------------------------------------------------------------------------------------


def test_a_json_page_is_read() -> None:
    torch = load_pages("torch")
    assert versions(torch) == ["2.15.0", "2.14.1", "2.11.0", "2.10.0", "2.9.1"]
    (file,) = (one for one in torch.files_for("2.15.0") if one.fits("3.15", "2.36"))
    assert file.filename == "torch-2.15.0-cp315-cp315-manylinux_2_28_x86_64.whl"
    assert file.address.startswith("https://files.example/packages/")
    assert file.requires_python == ">=3.11"
    assert not file.metadata


def test_an_html_page_is_read() -> None:
    scatter = load_pages("torch-scatter")
    assert versions(scatter) == ["2.1.2", "2.1.1"]
    (file,) = scatter.files_for("2.1.2")
    assert not file.is_wheel
    assert file.address.endswith("/torch_scatter-2.1.2.tar.gz")
    assert file.fits("3.13", "2.36")
    assert not file.fits("3.7", "2.36")


def test_the_free_threaded_wheel_is_not_the_usual_one() -> None:
    names = [one.filename for one in load_pages("torch").files_for("2.14.1") if one.fits("3.14", "2.36")]
    assert names == ["torch-2.14.1-cp314-cp314-manylinux_2_28_x86_64.whl"]


def test_a_wheel_for_any_python_fits_all() -> None:
    assert [one for one in load_pages("torchvision").files_for("0.29.2") if one.fits("3.15", "2.36")]


def test_pre_releases_are_left_out() -> None:
    cuda = load_pages("cuda-toolkit")
    assert Version("13.4.0rc1") in cuda.files
    assert "13.4.0rc1" not in versions(cuda)
    assert versions(cuda)[:2] == ["13.5.0", "13.4.3"]


@pytest.mark.parametrize(
    ("torch", "cuda"), [("2.9.1", "12.8"), ("2.10.0", "12.8"), ("2.11.0", "13.0"), ("2.15.0", "13.2")]
)
def test_a_torch_says_for_which_cuda_it_is_built(torch: str, cuda: str) -> None:
    assert read_metadata((PAGES / f"torch-{torch}.metadata").read_text("utf-8")).cuda == cuda


def test_what_says_nothing_of_cuda_has_none() -> None:
    assert read_metadata((PAGES / "torchvision-0.29.2.metadata").read_text("utf-8")).cuda is None
    windows = 'Metadata-Version: 2.1\nRequires-Dist: cuda-toolkit==13.0.2; platform_system == "Windows"\n'
    assert read_metadata(windows).cuda is None
    assert read_metadata("Requires-Dist: nvidia-cuda-runtime>=13\n").cuda is None


# -- rules ---------------------------------------------------------------------------------------------------


def test_yanked_files_are_left_out_but_a_pin_still_finds_them() -> None:
    page = simple_page({WHEEL: 'data-yanked=""', WHEEL.replace("1.0", "0.9"): ""})
    found = read_project("ray", INDEX, page)
    assert versions(found) == ["0.9"]
    assert [one.filename for one in found.files_for("1.0")] == [WHEEL]


def test_a_version_that_is_yanked_in_part_has_the_rest() -> None:
    kept = WHEEL.replace("cp313", "cp314")
    found = read_project("ray", INDEX, simple_page({WHEEL: "data-yanked", kept: ""}))
    assert versions(found) == ["1.0"]
    assert [one.filename for one in found.files_for("1.0")] == [kept]


@pytest.mark.parametrize("yanked", [True, "", "broken"])
def test_json_says_yanked_by_true_or_a_reason(yanked: object) -> None:
    page = json.dumps({"files": [{"filename": WHEEL, "url": WHEEL, "yanked": yanked}]})
    assert versions(read_project("ray", INDEX, page)) == []


@pytest.mark.parametrize(
    ("attributes", "has"),
    [
        ('data-core-metadata="sha256=00"', True),
        ('data-core-metadata="true"', True),
        ('data-dist-info-metadata="sha256=00"', True),
        ('data-core-metadata="false"', False),
        ("", False),
    ],
)
def test_metadata_beside_a_wheel_is_noticed(attributes: str, has: bool) -> None:
    (file,) = project(WHEEL, attributes=attributes).files_for("1.0")
    assert file.metadata is has


def test_a_local_label_is_a_version_of_its_own() -> None:
    found = project(
        "torch-2.12.0+cu130-cp313-cp313-manylinux_2_28_x86_64.whl",
        "torch-2.11.0+cu130-cp313-cp313-manylinux_2_28_x86_64.whl",
        "torch-2.13.0-cp313-cp313-manylinux_2_28_x86_64.whl",
        name="torch",
    )
    assert versions(found, "cu130") == ["2.12.0+cu130", "2.11.0+cu130"]
    assert versions(found) == ["2.13.0"]
    assert found.files_for("2.12.0", "cu130")
    assert not found.files_for("2.12.0")


def test_a_file_of_another_project_does_not_count() -> None:
    found = project(WHEEL, "rayon-9.0.tar.gz", "ray_cpp-9.0-cp313-cp313-manylinux2014_x86_64.whl")
    assert versions(found) == ["1.0"]


@pytest.mark.parametrize(
    ("tag", "glibc", "fits"),
    [
        ("cp313-cp313-manylinux_2_28_x86_64", "2.36", True),
        ("cp313-cp313-manylinux_2_39_x86_64", "2.36", False),
        ("cp313-cp313-manylinux_2_37_x86_64", "2.36", False),
        ("cp313-cp313-manylinux_2_36_x86_64", "2.36", True),
        ("cp313-cp313-manylinux_2_36_x86_64", "2.35", False),
        ("cp313-cp313-manylinux_2_39_x86_64", "2.39", True),
        ("cp313-cp313-manylinux_2_27_x86_64.manylinux_2_28_x86_64", "2.36", True),
        ("cp39-abi3-manylinux1_x86_64", "2.36", True),
        ("cp313-cp313t-manylinux_2_28_x86_64", "2.36", False),
        ("cp313-cp313-manylinux_2_28_aarch64", "2.36", False),
        ("cp313-cp313-win_amd64", "2.36", False),
        ("py3-none-any", "2.36", True),
        ("py2-none-any", "2.36", False),
    ],
)
def test_the_tags_decide(tag: str, glibc: str, fits: bool) -> None:
    (file,) = project(f"ray-1.0-{tag}.whl").files_for("1.0")
    assert file.fits("3.13", glibc) is fits


@pytest.mark.parametrize(
    ("said", "allowed"),
    [("", True), (">=3.9", True), (">=3.13.4", True), ("<3.13", False), (">=3.14", False), ("rubbish", True)],
)
def test_requires_python_is_checked_with_the_newest_patch(said: str, allowed: bool) -> None:
    assert python_allowed(said, "3.13") is allowed


def test_requirements_hold_where_their_markers_do() -> None:
    needs = read_metadata(
        "Metadata-Version: 2.1\n"
        'Requires-Dist: torch==2.12.0; python_version < "3.14"\n'
        'Requires-Dist: torch==2.13.0; extra == "new"\n'
        "Requires-Dist: ???\n"
        "Requires-Dist: Torch>=2\n"
    )
    assert [str(one.specifier) for one in needs.requirements_on("torch", "3.13")] == ["==2.12.0", ">=2"]
    assert [str(one.specifier) for one in needs.requirements_on("torch", "3.14")] == [">=2"]


# -- pages of something else ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    ["", "<p>log in to the proxy</p>", "{}", '{"files": 1}', '{"files": []}', "{", "<![foo[ x", "[1]"],
    ids=["empty", "login", "object", "number", "none", "cut", "declaration", "list"],
)
def test_a_page_without_the_projects_files_is_refused(page: str) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        read_project("ray", INDEX, page)


@given(st.lists(texts | st.sampled_from([WHEEL, "ray-1.0.tar.gz", "ray-1.0rc1.tar.gz"]), max_size=5), texts)
def test_any_page_is_read_or_refused(names: list[str], attributes: str) -> None:
    for page in (
        "".join(f'<a href="{name}" {attributes}>' for name in names),
        json.dumps(
            {"files": [{"filename": name, "url": attributes, "requires-python": name} for name in names]}
        ),
        attributes,
    ):
        try:
            found = read_project("ray", INDEX, page)
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
        for files in found.files.values():
            assert all(file.filename.startswith("ray-1.0") for file in files)
            assert files
            for file in files:
                # A source archive fits where Requires-Python allows it; a wheel is what the page calls so.
                wheel = file.filename == WHEEL
                assert file.is_wheel is wheel
                assert file.fits("3.13", "2.36") or not python_allowed(file.requires_python, "3.13")


@given(texts)
def test_any_metadata_is_read_or_refused(text: str) -> None:
    try:
        found = read_metadata(text)
    except ValueError:  # text that is no text: half a character
        return
    assert found.requirements_on("torch", "3.13") == ()


@pytest.mark.parametrize(
    ("version", "usable"), [("9" * 40, True), ("9" * 41, False), ("1!2.0", False), ("2.0", True)]
)
def test_versions_that_no_matrix_can_name_are_left_out(version: str, usable: bool) -> None:
    found = project(f"ray-{version}-py3-none-any.whl")
    assert versions(found) == ([version] if usable else [])
    assert Version(version) in found.files
