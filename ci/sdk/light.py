"""Let Dagger's client spend less on each query: a sweep makes hundreds, and half of the client's time is avoidable.

- It makes a converter for each call in a chain. All of them convert arguments alike, so one does it; another one is
  made where an answer is converted.
- It checks each query against the schema, which the engine does too; newer clients do not any more.
"""

from functools import cache as remembered
from typing import Any

import gql
from dagger.client import _core

_client: Any = _core  # there are no public names
_make_converter = _client.make_converter


class LazyConverter:
    """The converter of one call in a chain."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def unstructure(self, value: Any) -> Any:
        """Convert arguments, which needs nothing of the chain."""
        return _argument_converter().unstructure(value)

    def structure(self, value: Any, kind: Any) -> Any:
        """Convert an answer; objects in it go on with the chain."""
        return _make_converter(self._context).structure(value, kind)


@remembered
def lighten_client() -> None:
    """Change the client in this process."""
    _client.make_converter = LazyConverter
    unchecked: Any = gql.Client
    unchecked.validate = _accept


@remembered
def _argument_converter() -> Any:
    return _make_converter(None)


def _accept(_: gql.Client, __: Any) -> None:
    """Accept a query; the engine checks it."""
