"""What is asked of indexes, channels and registries, and what they answered. Pure: who reads is decided elsewhere."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeVar, cast

from packaging.version import Version

from ci.index.projects import File, Project, WheelMetadata, read_metadata, read_project
from ci.index.wheels import Page, Wheel, find_wheel, read_page, wheel_versions
from ci.util.errors import one_line
from ci.util.model import FrozenModel

T = TypeVar("T")

# 403 is how a bucket without a listing says that it has no such page: PyTorch's and PyG's indexes lie in one.
ABSENT = (403, 404, 410)


class IndexQuery(FrozenModel):
    """One question, as `programs/read_pages.py` takes it; no address is the package index of pip and uv."""

    kind: Literal["project", "page", "tags", "conda", "metadata", "wheel"]
    address: str = ""
    name: str = ""


class IndexResponse(FrozenModel):
    """What was read for an ask, with the HTTP status if there was one, or why nothing was."""

    address: str
    status: int | None = None
    bodies: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def absent(self) -> bool:
        """Tell whether the server said that there is no such page."""
        return self.status in ABSENT

    @property
    def trouble(self) -> str:
        """Tell in one line what could not be read and why."""
        return one_line(f"{self.address}: {self.problem}")


class IndexCache:
    """All answers so far; who looks for one that is not there finds a problem, and the ask is kept in `missing`.

    So what must be read follows from what is decided: decide, read what was missing, and decide again.
    """

    def __init__(self) -> None:
        self.answers: dict[IndexQuery, IndexResponse] = {}
        self.missing: dict[IndexQuery, None] = {}
        self._read: dict[IndexQuery, object] = {}
        self._wheels: dict[tuple[str, ...], Wheel | None] = {}

    def add(self, answers: Mapping[IndexQuery, IndexResponse]) -> None:
        """Add answers; nothing is missing then until somebody looks again."""
        self.answers.update(answers)
        self.missing.clear()

    def look(self, ask: IndexQuery) -> IndexResponse:
        """Return the answer to an ask."""
        if ask not in self.answers:
            self.missing[ask] = None
            return IndexResponse(address=ask.address, problem="not read yet")
        return self.answers[ask]

    def unread(self) -> tuple[IndexResponse, ...]:
        """Return what could not be read, each address once."""
        failed = (answer for answer in self.answers.values() if answer.problem and not answer.absent)
        return tuple({answer.address: answer for answer in failed}.values())

    # -- by kind -----------------------------------------------------------------------------------------

    def project(self, name: str, address: str | None = None) -> Project:
        """Return the files of a project on an index."""
        ask = IndexQuery(kind="project", address=address or "", name=name)
        found = self._parsed(ask, lambda answer: read_project(name, answer.address, answer.bodies[0]))
        return (
            found
            if isinstance(found, Project)
            else Project(name, problem=found, absent=self.look(ask).absent)
        )

    def page(self, address: str) -> Page:
        """Return the links of a page."""
        ask = IndexQuery(kind="page", address=address)
        found = self._parsed(ask, lambda answer: read_page(answer.address, answer.bodies[0]))
        return found if isinstance(found, Page) else Page(address=address, problem=found)

    def wheel(self, address: str, name: str, version: str, local: str, python: str) -> Wheel | str | None:
        """Return the wheel on a page that fits, None where none does, or why that is not known."""
        key = (address, name, version, local, python)
        page = self.page(address)
        if page.problem:
            return None if self.look(IndexQuery(kind="page", address=address)).absent else page.problem
        if key not in self._wheels:
            self._wheels[key] = find_wheel(page, name, version, local, python)
        return self._wheels[key]

    def wheels(self, address: str, name: str, local: str) -> tuple[Version, ...] | str:
        """Return the versions of a wheel on a page that have a local label, or why they are not known."""
        page = self.page(address)
        if page.problem:
            return () if self.look(IndexQuery(kind="page", address=address)).absent else page.problem
        return wheel_versions(page, name, local)

    def needs(self, file: File) -> WheelMetadata | str:
        """Return what a wheel says of itself, or why that is not known."""
        kind: Literal["metadata", "wheel"] = "metadata" if file.metadata else "wheel"
        address = f"{file.address}.metadata" if file.metadata else file.address
        return self._parsed(
            IndexQuery(kind=kind, address=address), lambda answer: read_metadata(answer.bodies[0])
        )

    def tags(self, address: str) -> frozenset[str] | str:
        """Return the tags of an image repository, or why they are not known."""
        return self._parsed(IndexQuery(kind="tags", address=address), lambda answer: _tags(answer.bodies))

    def builds(self, channel: str, name: str) -> tuple[tuple[str, str], ...] | str:
        """Return versions and builds of a package in a conda channel, or why they are not known."""
        ask = IndexQuery(kind="conda", address=channel, name=name)
        return self._parsed(
            ask, lambda answer: tuple((one[0], one[1]) for one in json.loads(answer.bodies[0]))
        )

    def _parsed(self, ask: IndexQuery, read: Callable[[IndexResponse], T]) -> T | str:
        answer = self.look(ask)
        if answer.problem:
            return answer.trouble
        if ask not in self._read:
            try:
                self._read[ask] = read(answer)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                # A page that says nothing that can be understood was not read.
                answer = answer.model_copy(update={"problem": one_line(f"not understood: {error}")[:200]})
                self.answers[ask] = answer
                return answer.trouble
        return cast("T", self._read[ask])


def _tags(bodies: Iterable[str]) -> frozenset[str]:
    return frozenset(str(tag) for body in bodies for tag in json.loads(body)["tags"] or ())
