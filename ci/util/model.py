"""Reads TOML documents into models; a mistake in one is told with file, key or line, and what is accepted."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from ci.util.errors import UserError, quote_value


class FrozenModel(BaseModel):
    """A frozen part of a TOML document that refuses keys it does not know.

    `renamed` are the keys of earlier versions, each with the word that took its place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    renamed: ClassVar[Mapping[str, str]] = {}


Model = TypeVar("Model", bound=FrozenModel)

# Deeper than any document here; Python's own limit on recursion is not far above.
DEPTH = 20


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Parse TOML text; a syntax error becomes one line with `name` and the line number."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError alone: a number of thousands of digits
        last = f"at line {text.count(chr(10)) + 1}, the end of the document"
        raise UserError(f"{name}: not valid TOML: {error}".replace("at end of document", last)) from None
    level: list[Any] = [data]
    for _ in range(DEPTH):
        level = [item for value in level for item in children(value)]
    if level:
        raise UserError(f"{name}: nested deeper than {DEPTH} levels")
    return data


def load(data: Mapping[str, Any], model: type[Model], name: str) -> Model:
    """Validate parsed data as `model`; the first mistake becomes one line with its key."""
    try:
        return model.model_validate(tuples(data))
    except ValidationError as error:
        raise UserError(f"{name}: {format_validation_error(error, model)}") from None


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one document over another, table by table; any other value replaces what was there."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def tuples(value: Any) -> Any:
    """Turn TOML's lists into tuples, all the way down, for frozen models."""
    if isinstance(value, Mapping):
        return {key: tuples(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(tuples(item) for item in value)
    return value


def children(value: Any) -> list[Any]:
    """List what a table or a list holds; nothing for any other value."""
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def format_validation_error(error: ValidationError, model: type[FrozenModel]) -> str:
    """Tell one error of a validation by its key; an unknown key comes first, for it often explains the rest."""
    errors = error.errors(include_url=False, include_input=False)
    found = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    path = [str(part) for part in found["loc"]]
    where = ".".join(path) or "top level"
    if found["type"] == "extra_forbidden":
        table = model_at(model, path[:-1])
        if path[-1] in table.renamed:
            return f"key {quote_value(where)} is called {quote_value(table.renamed[path[-1]])} now"
        accepted = [field.alias or key for key, field in table.model_fields.items()]
        close = get_close_matches(path[-1][:200], accepted, n=1, cutoff=0.5)
        hint = f" (did you mean {quote_value(close[0])}?)" if close else ""
        return f"unknown key {quote_value(where)}{hint}; accepted: {', '.join(accepted)}"
    return f"key {quote_value(where)}: {found['msg'].removeprefix('Value error, ')}"


def model_at(model: type[FrozenModel], path: list[str]) -> type[FrozenModel]:
    """Find the model of the table at `path`."""
    current = model
    for part in path:
        field = current.model_fields.get(part)
        # A part that is no field is the key of a free table or the place in a list.
        current = (inner_model(field.annotation) if field else None) or current
    return current


def inner_model(annotation: Any) -> Any:
    """Find the model inside an annotation such as `tuple[Pair, ...]`, `Pair | None` or `dict[str, Pair]`."""
    if isinstance(annotation, type) and issubclass(annotation, FrozenModel):
        return annotation
    found = (inner_model(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
