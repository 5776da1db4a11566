"""Cache and parse the responses of indexes, channels and registries; the caller reads them."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeVar, cast

from ci.index.projects import File, Project, WheelMetadata, read_metadata, read_project
from ci.index.wheels import Page, read_page
from ci.util.errors import one_line
from ci.util.model import FrozenModel

T = TypeVar("T")

# PyTorch's and PyG's indexes are in buckets without a listing, which answer 403 for a missing page.
NOT_FOUND = (403, 404, 410)


class IndexQuery(FrozenModel):
    """A query for `programs/read_indexes.py`; no address means the package index of pip and uv."""

    kind: Literal["project", "page", "tags", "conda", "metadata", "wheel"]
    address: str = ""
    name: str = ""


class IndexResponse(FrozenModel):
    """The response to a query: the bodies, or the problem; and the HTTP status, if any."""

    address: str
    status: int | None = None
    bodies: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def not_found(self) -> bool:
        """Return whether the server answered that there is no such page."""
        return self.status in NOT_FOUND

    @property
    def error(self) -> str:
        """Return in one line what could not be read and why."""
        return one_line(f"{self.address}: {self.problem}")


class IndexCache:
    """Cache of index responses.

    Getting a missing response returns a problem and adds the query to `pending`. So a decision names the queries it
    needs: decide, read what is pending, and decide again.
    """

    def __init__(self) -> None:
        self.responses: dict[IndexQuery, IndexResponse] = {}
        self.pending: dict[IndexQuery, None] = {}
        self._parsed: dict[IndexQuery, object] = {}

    def add(self, responses: Mapping[IndexQuery, IndexResponse]) -> None:
        """Add responses and clear `pending`."""
        self.responses.update(responses)
        self.pending.clear()

    def get(self, query: IndexQuery) -> IndexResponse:
        """Return the response to a query."""
        if query not in self.responses:
            self.pending[query] = None
            return IndexResponse(address=query.address, problem="not read yet")
        return self.responses[query]

    def unread(self) -> tuple[IndexResponse, ...]:
        """List the responses that are problems (other than a missing page), each address once."""
        failed = (
            response for response in self.responses.values() if response.problem and not response.not_found
        )
        return tuple({response.address: response for response in failed}.values())

    # -- by kind -----------------------------------------------------------------------------------------

    def project(self, name: str, address: str | None = None) -> Project:
        """Return the files of a project on an index."""
        query = IndexQuery(kind="project", address=address or "", name=name)
        parsed = self._parse(query, lambda response: read_project(name, response.address, response.bodies[0]))
        if isinstance(parsed, Project):
            return parsed
        return Project(name, problem=parsed, not_found=self.get(query).not_found)

    def page(self, address: str) -> Page:
        """Return a find-links page."""
        query = IndexQuery(kind="page", address=address)
        parsed = self._parse(query, lambda response: read_page(response.address, response.bodies[0]))
        if isinstance(parsed, Page):
            return parsed
        return Page(address=address, problem=parsed, not_found=self.get(query).not_found)

    def wheel_metadata(self, file: File) -> WheelMetadata | str:
        """Return the metadata of a wheel, or why it could not be read."""
        query = (
            IndexQuery(kind="metadata", address=f"{file.address}.metadata")
            if file.metadata
            else IndexQuery(kind="wheel", address=file.address)
        )
        return self._parse(query, lambda response: read_metadata(response.bodies[0]))

    def tags(self, address: str) -> frozenset[str] | str:
        """Return the tags of an image repository, or why they could not be read."""
        query = IndexQuery(kind="tags", address=address)
        return self._parse(query, lambda response: _parse_tags(response.bodies))

    def builds(self, channel: str, name: str) -> tuple[tuple[str, str], ...] | str:
        """Return (version, build) of a package in a conda channel, or why they could not be read."""
        query = IndexQuery(kind="conda", address=channel, name=name)
        return self._parse(query, lambda response: _parse_builds(response.bodies[0]))

    def _parse(self, query: IndexQuery, parse: Callable[[IndexResponse], T]) -> T | str:
        response = self.get(query)
        if response.problem:
            return response.error
        if query not in self._parsed:
            try:
                self._parsed[query] = parse(response)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                # A response that cannot be parsed counts as not read.
                problem = one_line(f"not understood: {error}")[:200]
                response = response.model_copy(update={"problem": problem})
                self.responses[query] = response
                return response.error
        return cast("T", self._parsed[query])


def _parse_builds(body: str) -> tuple[tuple[str, str], ...]:
    rows = json.loads(body)
    if not all(isinstance(part, str) for row in rows for part in row[:2]):
        raise ValueError("a version or a build is no text")
    return tuple((row[0], row[1]) for row in rows)


def _parse_tags(bodies: Iterable[str]) -> frozenset[str]:
    return frozenset(str(tag) for body in bodies for tag in json.loads(body)["tags"] or ())
