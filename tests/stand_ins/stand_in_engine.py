"""Stand in for Dagger's engine: answer the client's queries in the shape of an engine's answers, and run nothing.

Only the client's connection is replaced: the client makes each call, asks for the ids of objects that a call takes and
converts each answer to its type, under its own run-time checks; so does code that wraps `Context.execute`. Nothing here
depends on one version of the client: an object is identified by the calls that made it, however it was loaded.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from dagger.client import _core, _session
from gql import GraphQLRequest
from gql.transport.exceptions import TransportQueryError

# What a look at a machine prints: cores, kB of memory, bytes of free disk.
MACHINE = "4\n16777216\n500000000000\n"
PART = {
    "total": 2000,
    "packages": {"pip:torch": 2000},
    "kinds": {"library": 2000},
    "elf": {},
    "archs": {},
    "rows": [["pip:torch", "library", 2000]],
}
VERSIONS = {"versions": {"torch": "2.11.0+cu128", "ray": "2.60.0", "marimo": "0.25.2"}}
DIGEST = "sha256:" + "5d" * 32
# What a file that a step made holds, in a container.
TEXTS = {
    "/tmp/history.jsonl": "",  # noqa: S108
    "report.json": '{"objects": {"narrow": 66, "full": 1, "cached": 60}}',
}


@dataclass(frozen=True)
class Call:
    """One call of a chain: its field in the API, and its arguments as the API takes them."""

    name: str
    given: Mapping[str, Any] = field(default_factory=dict)


Chain = tuple[Call, ...]
Indexes = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def nothing_there(ask: Mapping[str, Any]) -> Mapping[str, Any]:
    """Answer a question to an index that cannot be read."""
    return {"address": ask["address"], "problem": "not there"}


class StandInEngine:
    """Knows objects by their ids, which it gave.

    Commands that hold one of the words of `failing` fail; before the command stands the image's title, if it has one.
    `indexes` answers what is asked of indexes, `changes` is what each layer changes of the files below it. `ended` has
    the title and the program of each command whose exit status was asked for.
    """

    def __init__(self, failing: Collection[str] = (), indexes: Indexes = nothing_there) -> None:
        self.failing = failing
        self.indexes = indexes
        self.changes: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.calls: list[Call] = []  # all that the client made
        self._known: dict[str, Chain] = {}
        self._folder = TemporaryDirectory()

    @property
    def folder(self) -> Path:
        """Return the folder in which the module runs."""
        return Path(self._folder.name)

    # -- objects that a caller brings ---------------------------------------------------------------------

    def directory(self, files: Mapping[str, str]) -> str:
        """Return the id of a folder of texts."""
        made = [Call("withNewFile", {"path": name, "contents": text}) for name, text in files.items()]
        return self._id((Call("directory"), *made))

    def file(self, name: str, text: str) -> str:
        """Return the id of a file."""
        folder = self._known[self.directory({name: text})]
        return self._id((*folder, Call("file", {"path": name})))

    def secret(self, text: str) -> str:
        """Return the id of a secret."""
        return self._id((Call("setSecret", {"plaintext": text}),))

    def service(self) -> str:
        """Return the id of a service on the caller's machine."""
        return self._id((Call("host"), Call("service")))

    def container(self, address: str) -> str:
        """Return the id of an image."""
        return self._id((Call("container"), Call("from", {"address": address})))

    def knows(self, name: object) -> bool:
        """Return whether an object has this id."""
        return name in self._known

    # -- answers --------------------------------------------------------------------------------------------

    async def execute(self, request: "Request") -> Any:
        """Answer a request, in the folds that an answer of an engine has."""
        calls = tuple(Call(one.name, one.args) for one in request.context.selections)
        self.calls += calls
        asked = request.context.selections[-1].children
        answer = self._answer_each(self._whole(calls), asked) if asked else self._answer(self._whole(calls))
        for call in reversed(calls):
            answer = {call.name: answer}
        return answer

    def _answer_each(self, chain: Chain, asked: Mapping[str, Any]) -> Any:
        """Answer what is asked of one object under several names: ids of what calls return."""
        return {
            name: {"id": self._id((*chain, Call(one.name, one.args)))}
            if "id" in one.children
            else self._answer((*chain, Call(one.name, one.args)))
            for name, one in asked.items()
        }

    def _whole(self, chain: Chain) -> Chain:
        """Put in place of the loading of an object how it was made."""
        first = chain[0]
        if first.name == "node" or (first.name.startswith("load") and first.name.endswith("FromID")):
            return self._known[first.given["id"]] + chain[1:]
        return chain

    def _id(self, chain: Chain) -> str:
        name = hashlib.sha256(repr(chain).encode()).hexdigest()
        self._known[name] = chain
        return name

    def _answer(self, chain: Chain) -> Any:
        *before, last = chain
        of = tuple(before)
        match last.name:
            case "id" | "sync" | "start" | "stop":
                self._fail(of)
                if of[-1].name in ("envVariables", "exposedPorts"):
                    return [{"id": self._id((*of, Call("of the list")))}]
                return self._id(of)
            case "exitCode":
                self.ended.append((_title(of), _program(_command(of))))
                return 1 if self._failing(of) else 0
            case "contents":
                return self._contents(of)
            case "stdout" | "stderr":
                return self._printed(of)
            case "name":
                return PurePosixPath(str(of[-1].given.get("path", "VARIABLE"))).name
            case "value" | "workdir" | "hostname":
                return f"a {last.name}"
            case "user":
                return next((one.given["name"] for one in reversed(of) if one.name == "withUser"), "")
            case "port":
                return 8080
            case "plaintext":
                return of[-1].given["plaintext"]
            case "exists":
                return True
            case "entries":
                return [one.given["path"] for one in of if one.name == "withNewFile"]
            case "mounts":
                return [one.given["path"] for one in of if one.name.startswith("withMounted")]
            case "publish":
                return f"{last.given['address']}@{DIGEST}"
            case "imageRef":
                return f"{of[-1].given['address'].partition('@')[0]}@{DIGEST}"
        raise NotImplementedError(f"the stand-in knows no answer to {last.name}")

    def _contents(self, of: Chain) -> str:
        if of[-1].name == "http":
            return ""
        path = of[-1].given["path"]
        if of[-1].name == "workdirFile":
            return self.folder.joinpath(str(path)).read_text("utf-8")
        for call in reversed(of[:-1]):
            if call.name == "withNewFile" and call.given["path"] == path:
                return str(call.given["contents"])
        if path == "/run/digest.txt":
            return DIGEST
        if path == "/run/answers.json":
            return self._read(of)
        return TEXTS[path]

    def _read(self, of: Chain) -> str:
        """Answer the questions to indexes that a step got as a file."""
        asks = next(call for call in of if call.given.get("path") == "/run/asks.json")
        found = json.loads(self._contents(self._known[asks.given["source"]]))
        return json.dumps([self.indexes(ask) for ask in found])

    def _printed(self, of: Chain) -> str:
        words = " ".join(_command(of))
        if "read_machine.sh" in words or "keep_history.sh read" in words:
            return MACHINE
        if "compare_layer.py" in words:
            return json.dumps({"changes": self.changes})
        if "measure_sizes.py" in words:
            return json.dumps(PART)
        return json.dumps(VERSIONS) if "versions.py" in words else "a line\n"

    def _failing(self, of: Chain) -> bool:
        words = f"{_title(of)}: {' '.join(_command(of))}"
        return any(word in words for word in self.failing)

    def _fail(self, of: Chain) -> None:
        """Fail as an engine does where a command that must succeed does not."""
        for place, call in enumerate(of):
            if (
                call.name == "withExec"
                and call.given.get("expect") != "ANY"
                and self._failing(of[: place + 1])
            ):
                extensions = {"_type": "EXEC_ERROR", "cmd": call.given["args"], "exitCode": 1}
                extensions |= {"stdout": "", "stderr": "a line"}
                raise TransportQueryError("failed", errors=[{"message": "failed", "extensions": extensions}])


def _command(of: Chain) -> list[str]:
    """Return the last command that was run."""
    return next((call.given["args"] for call in reversed(of) if call.name == "withExec"), [])


def _program(words: Sequence[str]) -> str:
    """Return the name of the check that a command runs, whatever stands before it."""
    found = next((word for word in words if "/checks/" in word and word.endswith(".py")), words[1])
    return PurePosixPath(found).stem


def _title(of: Chain) -> str:
    """Return the label that names an image."""
    labels = (call.given for call in reversed(of) if call.name == "withLabel")
    return next((one["value"] for one in labels if one["name"] == "org.opencontainers.image.title"), "")


class Request(GraphQLRequest):
    """A request that remembers the chain of calls it is for."""

    def __init__(self, context: Any) -> None:
        super().__init__("{ id }")
        self.context = context


@contextmanager
def instead_of_an_engine(engine: StandInEngine) -> Iterator[None]:
    """Let the client ask the stand-in, in the whole process, until the block ends."""
    context: Any = _core.Context  # of whose inside nothing is promised
    connection: Any = _session.SharedConnection
    real = context.request, connection.session

    async def request(self: Any) -> Request:
        return Request(self)

    context.request, connection.session = request, engine
    try:
        with chdir(engine.folder):
            yield
    finally:
        context.request, connection.session = real
