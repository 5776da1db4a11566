"""Reads TOML documents into models; a mistake in one is told with file, key or line, and what is accepted."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from ci.errors import UserError, shown


class Document(BaseModel):
    """A frozen part of a TOML document that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Model = TypeVar("Model", bound=BaseModel)


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Parse TOML text; a syntax error becomes one line with `name` and the line number."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{name}: not valid TOML: {error}") from None


def load(data: Mapping[str, Any], model: type[Model], name: str) -> Model:
    """Validate parsed data as `model`; the first mistake becomes one line with its key."""
    try:
        return model.model_validate(tuples(data))
    except ValidationError as error:
        raise UserError(f"{name}: {first_mistake(error, model)}") from None


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


def first_mistake(error: ValidationError, model: type[BaseModel]) -> str:
    """Tell one error of a validation by its key; an unknown key comes first, for it often explains the rest."""
    errors = error.errors(include_url=False, include_input=False)
    found = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    path = [str(part) for part in found["loc"]]
    where = ".".join(path) or "top level"
    if found["type"] == "extra_forbidden":
        accepted = known_keys(model, path[:-1])
        close = get_close_matches(path[-1], accepted, n=1, cutoff=0.5)
        hint = f" (did you mean {shown(close[0])}?)" if close else ""
        return f"unknown key {shown(where)}{hint}; accepted: {', '.join(accepted)}"
    return f"key {shown(where)}: {found['msg'].removeprefix('Value error, ')}"


def known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """List the keys that the table at `path` accepts."""
    current: Any = model
    for part in path:
        fields = getattr(current, "model_fields", {})
        if part in fields:
            current = inner_model(fields[part].annotation)
    return list(getattr(current, "model_fields", {}))


def inner_model(annotation: Any) -> Any:
    """Find the model inside an annotation such as `tuple[Pair, ...]`, `Pair | None` or `dict[str, Pair]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (inner_model(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
