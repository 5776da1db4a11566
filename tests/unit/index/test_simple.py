"""Pages and file names are parsed, and tags decide where a wheel runs (PEP 425, PEP 600)."""

import json
import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import Tag, platform_tags
from packaging.version import Version

from ci.config.sources import read_profiles, read_sources
from ci.index.projects import read_project
from ci.index.simple import (
    ListedFile,
    ParsedName,
    installable_tags,
    link_filename,
    parse_filename,
    parse_html,
    parse_page,
    resolve_link,
    split_fragment,
)
from ci.index.wheels import find_wheel, read_page
from tests.unit.user_errors import texts

PAGE = "https://index.example/simple/x/"
GLIBC = {name: read_sources(name).images.glibc for name in read_profiles()}
LIBC, LIBC_VERSION = platform.libc_ver()


def platforms(glibc: str) -> set[str]:
    """Return the platforms of the interpreter's own wheels."""
    return {tag.platform for tag in installable_tags("3.13", glibc) if tag.abi == "cp313"}


# -- which glibc a wheel runs on -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", GLIBC)
@pytest.mark.parametrize("minor", range(5, 46))
def test_a_wheel_runs_on_the_images_glibc_if_it_was_built_for_that_or_an_older_one(
    name: str, minor: int
) -> None:
    # PEP 600: manylinux_X_Y works on every system with glibc X.Y or later. A fixed list of platforms, which planning
    # had, is wrong in both ways: it refuses manylinux_2_31 on 2.36, and accepts manylinux_2_34 on 2.31.
    glibc = GLIBC[name]
    runs = (2, minor) <= Version(glibc).release
    filename = f"x-1.0+pt-cp313-cp313-manylinux_2_{minor}_x86_64.whl"
    html = f'<a href="{filename.replace("+", "%2B")}">x</a>'
    in_planning = find_wheel(read_page(PAGE, html), "x", "1.0", "pt", "3.13", glibc)
    in_updates = read_project("x", PAGE, html).files_for("1.0", "pt")[0].fits("3.13", glibc)
    assert (in_planning is not None, in_updates) == (runs, runs)


def test_the_images_have_a_glibc_for_which_the_fixed_list_was_wrong() -> None:
    assert all(Version(glibc).release >= (2, 31) for glibc in GLIBC.values())
    assert "manylinux_2_34_x86_64" not in platforms("2.31")


@pytest.mark.skipif((LIBC, platform.machine()) != ("glibc", "x86_64"), reason="not a manylinux platform")
def test_the_platforms_of_this_machines_glibc_are_those_that_packaging_finds() -> None:
    assert platforms(LIBC_VERSION) == set(platform_tags())


@pytest.mark.parametrize(
    ("alias", "first"), [("manylinux1", "2.5"), ("manylinux2010", "2.12"), ("manylinux2014", "2.17")]
)
def test_an_older_name_of_a_platform_means_a_glibc_too(alias: str, first: str) -> None:
    before = f"2.{int(first.split('.')[1]) - 1}"
    assert f"{alias}_x86_64" in platforms(first)
    assert f"{alias}_x86_64" not in platforms(before)


@pytest.mark.parametrize(
    ("glibc", "newest"),
    [("2", None), ("2.4", None), ("2.36.1", 36), ("2.39.post1", 39), ("3.0", 99), ("1.99", None)],
)
def test_a_glibc_may_be_any_version(glibc: str, newest: int | None) -> None:
    minors = {int(name.split("_")[2]) for name in platforms(glibc) if name.startswith("manylinux_2")}
    assert max(minors, default=None) == newest
    assert "linux_x86_64" in platforms(glibc)


@given(st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,20}){0,3}(rc[0-9])?", fullmatch=True))
def test_no_glibc_makes_the_list_endless(glibc: str) -> None:
    assert 1 <= len(platforms(glibc)) <= 99


def test_pure_and_stable_abi_wheels_are_installable() -> None:
    tags = installable_tags("3.13", "2.36")
    assert {Tag("py3", "none", "any"), Tag("cp39", "abi3", "manylinux_2_36_x86_64")} <= tags
    assert Tag("cp313", "cp313t", "linux_x86_64") not in tags


# -- pages ---------------------------------------------------------------------------------------------------


def test_html_and_json_say_the_same() -> None:
    filename = "x-1.0-py3-none-any.whl"
    page = (
        f'<a href="{filename}#sha256=00" data-requires-python="&gt;=3.9" data-yanked="broken" '
        'data-core-metadata="true">x</a>'
    )
    row = {
        "filename": filename,
        "url": f"{filename}#sha256=00",
        "requires-python": ">=3.9",
        "yanked": "broken",
        "core-metadata": True,
    }
    file = ListedFile(filename, f"{filename}#sha256=00", ">=3.9", yanked=True, metadata=True)
    assert parse_page(page) == parse_page(json.dumps({"files": [row]})) == parse_html(page) == [file]


def test_what_is_neither_html_nor_json_is_refused() -> None:
    with pytest.raises(ValueError, match="it is neither HTML nor JSON"):
        parse_page("<![foo[ x")
    with pytest.raises(ValueError, match="it is not HTML"):
        parse_html("<![foo[ x")


@given(texts)
def test_any_html_is_parsed_or_refused(html: str) -> None:
    for page in (html, f'<a href="{html}">'):
        try:
            files = parse_html(page)
        except ValueError:
            continue
        for file in files:
            resolve_link(PAGE, file.link)
            parse_filename(file.filename)


# -- links and file names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "filename"),
    [
        ("x-1.tar.gz", "x-1.tar.gz"),
        ("../a/x-1%2Bcu128.whl#sha256=00", "x-1+cu128.whl"),
        ("a/#x", ""),
        ("", ""),
        ("http://[#x", "["),
        ("a%2Fb.whl", "a/b.whl"),
    ],
)
def test_the_filename_is_the_end_of_a_link(link: str, filename: str) -> None:
    assert link_filename(link) == filename


def test_only_the_first_hash_begins_a_fragment() -> None:
    assert split_fragment("a#b#c") == ("a", "b#c")
    assert split_fragment("a") == ("a", "")


def test_a_link_to_no_host_is_none() -> None:
    assert resolve_link(PAGE, "http://[") is None
    assert resolve_link(PAGE, "../y") == "https://index.example/simple/y"


def test_a_wheels_name_has_tags_and_a_source_archives_none() -> None:
    tags = frozenset({Tag("cp313", "cp313", "linux_x86_64")})
    wheel = ParsedName("torch-scatter", Version("2.1.2+pt211cu128"), tags)
    assert parse_filename("torch_scatter-2.1.2+pt211cu128-cp313-cp313-linux_x86_64.whl") == wheel
    assert parse_filename("torch_scatter-2.1.2.tar.gz") == ParsedName("torch-scatter", Version("2.1.2"))


@pytest.mark.parametrize(
    "filename",
    [
        "",
        "x",
        "x.whl",
        "x-1.whl",
        "x-1-cp313-cp313.whl",
        "x-!-py3-none-any.whl",
        "x-1-py3-none-any.whl\n",
        "x-1-py3-none-any.whl;id",
        "a/x-1.tar.gz",
        "../x-1.tar.gz",
        "x -1.tar.gz",
        f"x-1-{'a.' * 99}a-{'b.' * 99}b-{'c.' * 99}c.whl",
        f"x-{'9' * 260}.tar.gz",
    ],
    ids=lambda filename: filename[:30],
)
def test_what_is_no_safe_filename_is_none(filename: str) -> None:
    assert parse_filename(filename) is None


def test_a_file_is_not_yanked_and_has_no_metadata_unless_its_page_says_so() -> None:
    found = ListedFile("x-1-py3-none-any.whl", "https://example.org/x-1-py3-none-any.whl")
    assert (found.requires_python, found.yanked, found.metadata) == ("", False, False)
