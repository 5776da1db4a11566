"""What Dagger's client does anew for each of its calls, done once: in a warm sweep that took most of the module's time.

Its inner parts are of this shape in 0.19.10 and in 0.21.11; where a client has others, it stays as it is.
"""

from dataclasses import fields
from typing import Any

import gql
from dagger.client import _core

_SHAPES = {
    "Context": {"conn", "selections", "converter"},
    "Field": {"type_name", "name", "args", "children"},
}


def known() -> bool:
    """Tell whether the client's inner parts are of the shape that is known here."""
    inside: Any = _core  # of which nothing is promised
    try:
        found = {name: {one.name for one in fields(getattr(inside, name))} for name in _SHAPES}
    except (AttributeError, TypeError):
        return False
    return all(needed <= found[name] for name, needed in _SHAPES.items()) and hasattr(
        inside, "make_converter"
    )


def lighten() -> None:
    """Let the client do less, in the whole process."""
    if not known():
        return
    inside: Any = _core
    _make_one_converter(inside)
    remember_ids(inside.Context)
    # The engine checks each query; checked here too, it is checked twice.
    checked: Any = gql.Client
    checked.validate = lambda *_: None


class _Converter:
    """Stands in for the converter that each step of a chain of calls made for itself, of which few were ever used."""

    def __init__(self, plain: Any, make: Any, context: Any) -> None:
        self._plain = plain
        self._make = make
        self._context = context

    def unstructure(self, value: Any) -> Any:
        return self._plain.unstructure(value)

    def structure(self, value: Any, kind: Any) -> Any:
        # Objects of the API belong to a context; text and numbers, ids among them, do not.
        plain = isinstance(kind, type) and issubclass(kind, str | int | float)
        return (self._plain if plain else self._make(self._context)).structure(value, kind)


def _make_one_converter(inside: Any) -> None:
    make = inside.make_converter
    plain = make(None)

    def prepared(context: Any) -> None:
        context.converter = _Converter(plain, make, context)

    inside.Context.__post_init__ = prepared


def remember_ids(kind: Any) -> None:
    """Ask the engine for the id of an object once, and never for that of one that was loaded by it.

    `kind` is the class of chains of calls.
    """
    ask = kind.execute
    ids: dict[int, tuple[Any, str]] = {}

    async def execute(context: Any, return_type: Any = None) -> Any:
        if len(context.selections) < 2 or context.selections[-1].name != "id":
            return await ask(context, return_type)
        # By the last call of the chain that gives the object: each object has its own.
        of: Any = context.selections[-2]
        if of.name == f"load{context.selections[-1].type_name}FromID":
            return of.args["id"]
        if id(of) not in ids:
            ids[id(of)] = of, await ask(context, return_type)
        return ids[id(of)][1]

    kind.execute = execute
