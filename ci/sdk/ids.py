"""Ask the engine for the id of an object once, however many containers the object goes into.

Dagger's client asks for the id of a file, folder, volume or service anew for each container that it is mounted in, also
for that of an object that it has loaded by its id. Here it is asked for once, and for all files of a folder together.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import replace
from functools import cache as remembered
from typing import Any, TypeVar, cast

import anyio
import dagger
from dagger.client._core import Field  # a query for several objects needs it, and there is no public name
from dagger.client.base import Type

T = TypeVar("T", bound=Type)


def remember_id(value: T) -> T:
    """Return the same object, which keeps its id once the engine was asked for it.

    Each call of a module's function is a process of its own with one session, which is as long as an id is valid.
    """
    kind = _remembering(cast("Any", type(value)))
    return cast("T", kind(value._ctx))  # a copy needs it, and there is no public name


def remember_files(folder: dagger.Directory, paths: Collection[str]) -> dict[str, dagger.File]:
    """Return files of a folder by their paths; one query asks for the ids of all, when the first one is needed."""
    kind, lock = _remembering(dagger.File), anyio.Lock()
    files = {path: kind(folder.file(path)._ctx) for path in paths}

    async def ask_together(_: Any) -> None:
        ids = await _ask_file_ids(folder, list(files))
        for file, name in zip(files.values(), ids, strict=True):
            file._id = name

    for file in files.values():
        file._lock, file._ask = lock, ask_together
    return files


@remembered
def _remembering(kind: Any) -> Any:
    """Return a subclass that keeps its id. It has the name of the class, which the client uses in its queries."""
    if kind.__dict__.get("_keeps_id"):
        return kind

    def init(self: Any, context: Any) -> None:
        kind.__init__(self, context)
        self._lock, self._ask = anyio.Lock(), ask_alone
        self._id = _find_id(kind, context)

    async def ask_alone(self: Any) -> None:
        self._id = await kind.id(self)

    async def ask_id(self: Any) -> Any:
        async with self._lock:
            if self._id is None:
                await self._ask(self)
            return self._id

    return type(kind.__name__, (kind,), {"__init__": init, "id": ask_id, "_keeps_id": True})


def _find_id(kind: Any, context: Any) -> Any:
    """Return the id by which an object was loaded, as after `sync`; None if calls made it."""
    if len(context.selections) != 1:
        return None
    load = context.selections[0]
    loaded = load.name == "node" or (load.name.startswith("load") and load.name.endswith("FromID"))
    return _id_type(kind)(load.args["id"]) if loaded else None


def _id_type(kind: Any) -> Any:
    """Return the type of an object's id: older clients have one for each kind of object."""
    return getattr(dagger, f"{kind.__name__}ID", str)


async def _ask_file_ids(folder: dagger.Directory, paths: Collection[str]) -> list[Any]:
    """Ask for the ids of files of a folder in one query."""
    context = folder._ctx
    *before, last = context.selections
    wanted = {
        f"file{number}": Field("Directory", "file", {"path": path}, {"id": Field("File", "id", {})})
        for number, path in enumerate(paths)
    }
    query = replace(context, selections=deque([*before, replace(last, children=wanted)]))
    found = await query.execute(dict[str, dict[str, str]])
    return [_id_type(dagger.File)(found[name]["id"]) for name in wanted]
