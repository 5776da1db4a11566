"""Ask the engine for the id of an object once, however many containers the object goes into.

Dagger's client asks for the id of a file, folder, volume or service anew for each container that it is mounted in, also
for that of an object that it has loaded by its id.
"""

from functools import cache as remembered
from typing import Any, TypeVar, cast

import anyio
from dagger.client.base import Type

T = TypeVar("T", bound=Type)


def remember_id(value: T) -> T:
    """Return the same object, which keeps its id once the engine was asked for it.

    Each call of a module's function is a process of its own with one session, which is as long as an id is valid.
    """
    kind = _remembering(cast("Any", type(value)))
    return cast("T", kind(value._ctx))  # a copy needs it, and there is no public name


@remembered
def _remembering(kind: Any) -> Any:
    """Return a subclass that keeps its id. It has the name of the class, which the client uses in its queries."""
    if kind.__dict__.get("_keeps_id"):
        return kind

    def init(self: Any, context: Any) -> None:
        kind.__init__(self, context)
        self._lock, self._id = anyio.Lock(), _find_id(context)

    async def ask_id(self: Any) -> Any:
        async with self._lock:
            if self._id is None:
                self._id = await kind.id(self)
            return self._id

    return type(kind.__name__, (kind,), {"__init__": init, "id": ask_id, "_keeps_id": True})


def _find_id(context: Any) -> Any:
    """Return the id by which an object was loaded, as after `sync`; None if calls made it."""
    if len(context.selections) != 1:
        return None
    load = context.selections[0]
    loaded = load.name == "node" or (load.name.startswith("load") and load.name.endswith("FromID"))
    return load.args["id"] if loaded else None
