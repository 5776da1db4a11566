"""The wheel that fits an environment is found on a find-links page, and no page does harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging import tags

from ci.index.wheels import Page, Wheel, find_wheel, read_page
from tests.unit.user_errors import texts

FIND_LINKS = "https://data.pyg.org/whl/torch-2.11.0%2Bcu128.html"
SIMPLE = "http://mirror:8080/simple/torch-scatter/"
GLIBC = "2.36"
SHA = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"

# As data.pyg.org writes them: one row a wheel, folders by torch and CUDA, `%2B` for the plus.
PYG = f"""<!DOCTYPE html>
<html><body>
<a href="torch-2.11.0%2Bcu128/pyg_lib-0.8.0%2Bpt211cu128-cp310-abi3-manylinux_2_28_x86_64.whl">pyg_lib</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_scatter-2.1.2%2Bpt211cu128-cp312-cp312-linux_x86_64.whl">x</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_scatter-2.1.2%2Bpt211cu128-cp313-cp313-linux_x86_64.whl">x</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_scatter-2.1.2%2Bpt211cu128-cp313-cp313-win_amd64.whl">x</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_sparse-0.6.18%2Bpt211cu130-cp313-cp313-linux_x86_64.whl">x</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_sparse-0.6.17%2Bpt211cu128-cp313-cp313-linux_x86_64.whl">x</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_sparse-0.6.18%2Bpt210cu128-cp313-cp313-linux_x86_64.whl">x</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_cluster-1.6.3%2Bpt211cu128-cp313-cp313t-linux_x86_64.whl">x</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_cluster-1.6.3%2Bpt211cu128-cp314-cp314t-linux_x86_64.whl">x</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_spline_conv-1.2.2%2Bpt211cu128-cp313-cp313-manylinux_2_28_aarch64.whl">x</a><br/>
<a href="torch-2.11.0%2Bcu128/torch_spline_conv-1.2.2%2Bpt211cu128-cp313-cp313-manylinux_2_39_x86_64.whl">x</a><br/>
<A HREF='/whl/torch-2.11.0%2Bcu128/torch_spline_conv-1.2.2%2Bpt211cu128-cp314-cp314-linux_x86_64.whl#sha256={SHA}'>x</A>
</body></html>
"""


def wheel(
    html: str, name: str, version: str, python: str = "3.13", local: str = "pt211cu128"
) -> Wheel | None:
    """Find a wheel on a page at PyG's address."""
    return find_wheel(read_page(FIND_LINKS, html), name, version, local, python, GLIBC)


def row(filename: str) -> str:
    """Return a page with one link."""
    return f'<a href="{filename}">x</a>'


# -- which wheel fits ----------------------------------------------------------------------------------------


def test_the_wheel_of_the_interpreter_is_found_with_its_absolute_address() -> None:
    assert wheel(PYG, "torch-scatter", "2.1.2") == Wheel(
        name="torch-scatter",
        version="2.1.2",
        filename="torch_scatter-2.1.2+pt211cu128-cp313-cp313-linux_x86_64.whl",
        address="https://data.pyg.org/whl/torch-2.11.0%2Bcu128/"
        "torch_scatter-2.1.2%2Bpt211cu128-cp313-cp313-linux_x86_64.whl",
    )


@pytest.mark.parametrize("name", ["torch-scatter", "torch_scatter", "Torch.Scatter"])
def test_the_spelling_of_a_name_does_not_matter(name: str) -> None:
    assert wheel(PYG, name, "2.1.2")


@pytest.mark.parametrize("python", ["3.10", "3.12", "3.13", "3.14"])
def test_a_wheel_for_the_stable_abi_fits_newer_pythons(python: str) -> None:
    found = wheel(PYG, "pyg-lib", "0.8.0", python)
    assert found is not None
    assert found.filename == "pyg_lib-0.8.0+pt211cu128-cp310-abi3-manylinux_2_28_x86_64.whl"


def test_a_wheel_for_the_stable_abi_fits_no_older_python() -> None:
    assert wheel(PYG, "pyg-lib", "0.8.0", "3.9") is None


@pytest.mark.parametrize(
    ("name", "version", "python", "why"),
    [
        ("torch-scatter", "2.1.2", "3.14", "only cp312 and cp313"),
        ("torch-scatter", "2.1.3", "3.13", "another version"),
        ("torch-sparse", "0.6.18", "3.13", "another CUDA, another torch"),
        ("torch-cluster", "1.6.3", "3.13", "free-threaded"),
        ("torch-cluster", "1.6.3", "3.14", "free-threaded"),
        ("torch-spline-conv", "1.2.2", "3.13", "aarch64, and a newer glibc"),
        ("torch", "2.11.0", "3.13", "not on the page"),
        ("scatter", "2.1.2", "3.13", "part of a name"),
    ],
)
def test_a_wheel_that_does_not_fit_is_not_used(name: str, version: str, python: str, why: str) -> None:
    assert wheel(PYG, name, version, python) is None, why


@pytest.mark.parametrize("local", ["pt211cu130", "pt210cu128", "pt211cpu", "pt211cu12", "pt211"])
def test_the_local_label_must_be_exactly_the_same(local: str) -> None:
    assert wheel(PYG, "torch-scatter", "2.1.2", local=local) is None


@pytest.mark.parametrize(
    ("tag", "python", "fits"),
    [
        ("cp313-cp313-linux_x86_64", "3.13", True),
        ("cp313-cp313-manylinux_2_28_x86_64", "3.13", True),
        ("cp313-cp313-manylinux_2_36_x86_64", "3.13", True),
        ("cp313-cp313-manylinux_2_37_x86_64", "3.13", False),
        ("cp313-cp313-manylinux2014_x86_64", "3.13", True),
        ("cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64", "3.13", True),
        ("1-cp313-cp313-linux_x86_64", "3.13", True),
        ("cp39-abi3-linux_x86_64", "3.14", True),
        ("cp314-abi3-linux_x86_64", "3.13", False),
        ("cp313-cp313-linux_x86_64", "3.14", False),
        ("cp314-cp314-linux_x86_64", "3.13", False),
        ("cp314-cp314-linux_x86_64", "3.14", True),
        ("cp313-cp313t-linux_x86_64", "3.13", False),
        ("cp313-cp313d-linux_x86_64", "3.13", False),
        ("cp314-cp314t-linux_x86_64", "3.14", False),
        ("cp313-cp313-linux_aarch64", "3.13", False),
        ("cp313-cp313-linux_i686", "3.13", False),
        ("cp313-cp313-musllinux_1_2_x86_64", "3.13", False),
        ("cp313-cp313-macosx_11_0_arm64", "3.13", False),
        ("cp313-cp313-win_amd64", "3.13", False),
        ("pp311-pypy311_pp73-linux_x86_64", "3.13", False),
        ("cp31-cp31-linux_x86_64", "3.13", False),
    ],
)
def test_the_tags_of_a_wheel_decide(tag: str, python: str, fits: bool) -> None:
    found = wheel(row(f"torch_scatter-2.1.2%2Bpt211cu128-{tag}.whl"), "torch-scatter", "2.1.2", python)
    assert (found is not None) is fits


@pytest.mark.parametrize("setting", ["Py_GIL_DISABLED", "Py_DEBUG"])
def test_the_python_that_plans_does_not_matter(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "_get_config_var", lambda name, *_: int(name == setting))
    found = wheel(PYG, "torch-scatter", "2.1.2")
    assert found is not None
    assert "-cp313-cp313-" in found.filename
    assert wheel(PYG, "torch-cluster", "1.6.3") is None


def test_the_first_of_two_wheels_that_fit_is_used() -> None:
    one = row("a/x-1%2Bp-cp313-cp313-linux_x86_64.whl")
    two = row("b/x-1%2Bp-cp310-abi3-linux_x86_64.whl")
    first = wheel(one + two, "x", "1", local="p")
    assert first is not None
    assert "/a/" in first.address


# -- pages ---------------------------------------------------------------------------------------------------


def test_a_simple_page_gives_links_and_hashes() -> None:
    file = "torch_scatter-2.1.2+pt211cu128-cp313-cp313-linux_x86_64.whl"
    page = read_page(
        SIMPLE,
        '<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1"></head><body>'
        f'<a href="../../packages/torch_scatter-2.1.2.tar.gz#sha256={SHA}">torch_scatter-2.1.2.tar.gz</a>'
        f'<a href="../../packages/{file}#sha256={SHA}" data-requires-python="&gt;=3.9">{file}</a></body></html>',
    )
    assert find_wheel(page, "torch-scatter", "2.1.2", "pt211cu128", "3.13", GLIBC) == Wheel(
        name="torch-scatter",
        version="2.1.2",
        filename=file,
        address=f"http://mirror:8080/packages/{file}",
        sha256=SHA,
    )


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("x.whl", "https://data.pyg.org/whl/x.whl"),
        ("./x.whl", "https://data.pyg.org/whl/x.whl"),
        ("../x.whl", "https://data.pyg.org/x.whl"),
        ("/x.whl", "https://data.pyg.org/x.whl"),
        ("//cdn.example/x.whl", "https://cdn.example/x.whl"),
        ("https://cdn.example/x.whl", "https://cdn.example/x.whl"),
        ("x.whl?a=1&amp;b=2", "https://data.pyg.org/whl/x.whl?a=1&b=2"),
    ],
)
def test_links_become_absolute(link: str, address: str) -> None:
    assert read_page(FIND_LINKS, row(link)).links == (address,)


@pytest.mark.parametrize(
    "fragment", ["", "#", "#md5=0", "#sha256=", "#sha256=xyz", f"#sha256={SHA}0", f"#sha256={SHA.upper()}"]
)
def test_only_a_whole_sha256_is_a_hash(fragment: str) -> None:
    found = wheel(row(f"x-1%2Bp-cp313-cp313-linux_x86_64.whl{fragment}"), "x", "1", local="p")
    assert found is not None
    assert found.sha256 is None


def test_a_page_without_links_or_of_something_else_is_empty() -> None:
    assert read_page(FIND_LINKS, "").links == ()
    assert read_page(FIND_LINKS, "<a name=x>y</a><a href>z</a><a href=''></a><p href=x>").links == ()
    assert read_page(FIND_LINKS, '{"files": [{"url": "x.whl"}]}').links == ()


def test_a_page_that_could_not_be_read_has_no_wheel() -> None:
    assert find_wheel(Page(address=FIND_LINKS, problem="404"), "x", "1", "p", "3.13", GLIBC) is None


@pytest.mark.parametrize(
    "link",
    [
        "http://[",
        "https://[fe80::1/x.whl",
        "http://host:99999999/x.whl",
        "javascript:alert(1)",
        "data:,x",
        "mailto:x@y",
        "#top",
        "%",
        "%zz%2",
        "-.whl",
        "x.whl",
        "a-b-c-d-e-f-g.whl",
        "x-1-cp313-cp313.whl",
        "x-!-cp313-cp313-linux_x86_64.whl",
        "x-" + "9" * 5000 + "-cp313-cp313-linux_x86_64.whl",
        "x-1-" + "9" * 5000 + "-cp313-cp313-linux_x86_64.whl",
        f"x-1-{'a.' * 99}a-{'b.' * 99}b-{'c.' * 99}c.whl",
    ],
    ids=lambda link: link[:40],
)
def test_a_garbage_link_hides_no_wheel_behind_it(link: str) -> None:
    page = row(link) + row("x-1%2Bp-cp313-cp313-linux_x86_64.whl")
    found = wheel(page, "x", "1", local="p")
    assert found is not None
    assert found.filename == "x-1+p-cp313-cp313-linux_x86_64.whl"


@pytest.mark.parametrize(
    "trick", ["%0A--index-url", "%2F..%2F..%2Fetc", "%00", "%20", "%24(id)", "%27", "%3Bid", "%5C", "%1b[31m"]
)
def test_a_file_name_holds_no_path_and_nothing_that_a_shell_reads(trick: str) -> None:
    assert wheel(row(f"x-1%2Bp-cp313-cp313-linux_x86_64.{trick}.whl"), "x", "1", local="p") is None


@pytest.mark.parametrize(
    "html",
    ["<![foo[ x", "<![if x>", "<!DOCTYPE [<!x", "<!--", "<a href='", "</", "&#xffffffff;", "<a " * 10_000],
    ids=["section", "if", "doctype", "comment", "attribute", "end", "number", "many"],
)
def test_broken_html_is_a_page_with_what_was_read_or_a_problem(html: str) -> None:
    page = read_page(FIND_LINKS, html)
    assert page.links == ()
    assert page.problem in (None, "it is not HTML")


# What pages are made of, and what has broken parsers of them.
PIECES = [*"<>'\"&[]/#", "</a>", "<a ", "href=", "<!", "<![", "<!--", "http://", "%2B"]
pages = st.lists(
    st.sampled_from([*PIECES, "x-1+p-", "cp313-", "linux_x86_64.whl"]) | st.text(max_size=4), max_size=30
).map("".join)


@given(pages | texts)
def test_any_page_can_be_read_and_searched(html: str) -> None:
    found = wheel(html, "x", "1", local="p")
    assert found is None or found.filename.startswith("x-1+p-")


@given(st.lists(texts, max_size=3), texts)
def test_any_links_can_be_searched(links: list[str], html: str) -> None:
    page = Page(address="https://host/", links=tuple(links))
    find_wheel(page, "x", "1", "p", "3.13", GLIBC)
    read_page("https://host/", row(html))
