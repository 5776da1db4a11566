"""A response that was not read, or cannot be parsed, is a problem."""

import pytest
from packaging.version import Version

from ci.index.lookup import IndexCache, IndexQuery, IndexResponse
from ci.index.projects import WheelMetadata
from ci.index.wheels import wheel_versions
from tests.unit.fake_indexes import pyg_address, pyg_page, simple_page

RAY = IndexQuery(kind="project", name="ray")
PAGE = pyg_address("2.11.0", "cu128")
TEXT = simple_page({"ray-1.0-cp313-cp313-manylinux2014_x86_64.whl": ""})


def index_cache(
    query: IndexQuery, *bodies: str, status: int | None = 200, problem: str | None = None
) -> IndexCache:
    """Return a cache with one response."""
    found = IndexCache()
    address = query.address or "https://index.example/simple/ray/"
    found.add({query: IndexResponse(address=address, status=status, bodies=bodies, problem=problem)})
    return found


def test_what_was_not_read_is_a_problem_and_pending_once() -> None:
    found = IndexCache()
    assert found.project("ray").problem
    assert found.project("ray").versions() == ()
    assert list(found.pending) == [RAY]
    found.add({RAY: IndexResponse(address="https://index.example/simple/ray/", status=200, bodies=(TEXT,))})
    assert not found.pending
    assert [str(one) for one in found.project("ray").versions()] == ["1.0"]
    assert not found.pending


def test_a_project_that_is_not_found_is_no_failure() -> None:
    found = index_cache(RAY, status=404, problem="HTTP 404")
    assert found.project("ray").not_found
    assert found.unread() == ()


@pytest.mark.parametrize("status", [None, 401, 429, 500, 503])
def test_a_server_that_fails_is_a_problem(status: int | None) -> None:
    found = index_cache(RAY, status=status, problem="out of order")
    assert not found.project("ray").not_found
    assert found.project("ray").problem == "https://index.example/simple/ray/: out of order"
    assert [one.problem for one in found.unread()] == ["out of order"]


@pytest.mark.parametrize("text", ["<p>log in</p>", "{", '{"files": [{}]}', '{"files": [1]}'])
def test_a_page_of_something_else_was_not_read(text: str) -> None:
    found = index_cache(RAY, text)
    first, again = found.project("ray").problem, found.project("ray").problem
    assert "not understood" in (first or "")
    assert again == first
    assert len(found.unread()) == 1


def test_tags_of_all_pages_count() -> None:
    query = IndexQuery(kind="tags", address="https://registry.example/v2/x/tags/list")
    found = index_cache(
        query, '{"name": "x", "tags": ["a", "b"]}', '{"name": "x", "tags": null}', '{"tags": ["c"]}'
    )
    assert found.tags(query.address) == frozenset("abc")
    assert isinstance(index_cache(query, "{}").tags(query.address), str)


def test_builds_of_a_channel_are_read() -> None:
    query = IndexQuery(kind="conda", address="https://channel.example", name="python")
    assert index_cache(query, '[["3.13.5", "h_0"]]').builds(query.address, "python") == (("3.13.5", "h_0"),)
    assert isinstance(index_cache(query, '[["3.13.5"]]').builds(query.address, "python"), str)


def test_a_page_has_wheels_or_was_not_found_or_could_not_be_read() -> None:
    query = IndexQuery(kind="page", address=PAGE)
    page = index_cache(query, pyg_page("2.11.0", "cu128", {"torch_scatter": ("cp313-cp313",)})).page(PAGE)
    assert wheel_versions(page, "torch-scatter", "pt211cu128") == (Version("2.1.2"),)
    for status, not_found in ((403, True), (404, True), (500, False)):
        page = index_cache(query, status=status, problem=f"HTTP {status}").page(PAGE)
        assert (page.links, page.problem, page.not_found) == ((), f"{PAGE}: HTTP {status}", not_found)
    assert not IndexCache().page(PAGE).not_found


@pytest.mark.parametrize(("attributes", "kind"), [('data-core-metadata="true"', "metadata"), ("", "wheel")])
def test_metadata_is_read_beside_a_wheel_or_out_of_it(attributes: str, kind: str) -> None:
    found = index_cache(RAY, TEXT.replace("><", f" {attributes}><").replace('" >', f'" {attributes}>'))
    (file,) = found.project("ray").files_for("1.0")
    assert isinstance(found.wheel_metadata(file), str)
    (query,) = found.pending
    assert (query.kind, query.address.endswith(".whl.metadata")) == (kind, kind == "metadata")
    found.add(
        {query: IndexResponse(address=query.address, status=200, bodies=("Requires-Dist: torch==2.11.0\n",))}
    )
    needs = found.wheel_metadata(file)
    assert isinstance(needs, WheelMetadata)
    assert [str(one) for one in needs.requirements_on("torch", "3.13")] == ["torch==2.11.0"]
