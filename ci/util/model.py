"""Read TOML documents into models, with errors that name the file, the key and the line."""

import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ci.util.errors import UserError, quote_value, suggest
from ci.util.json_text import refuse_bom


class FrozenModel(BaseModel):
    """A frozen model that refuses unknown keys.

    `renamed` maps keys of earlier versions to the keys that replaced them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    renamed: ClassVar[Mapping[str, str]] = {}


Model = TypeVar("Model", bound=FrozenModel)

# What a pattern accepts, in words with an example, for messages.
_ACCEPTED: dict[str, str] = {}


def accepts(pattern: str, words: str) -> str:
    """Return a regular expression for a field as it is; messages say in `words` what it accepts."""
    _ACCEPTED[pattern] = words
    return pattern


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):  # which Python takes for a number
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - pydantic's error
    return value


# Of a document's key `schema`.
FirstSchema = Annotated[Literal[1], BeforeValidator(_refuse_bool)]

# Deeper than any document here; Python's own limit on recursion is not far above.
MAX_DEPTH = 20


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        UserError: the syntax is wrong, or it is nested too deep; the message has `name` and the line number.
    """
    refuse_bom(text, name)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a plain ValueError: a number of thousands of digits
        last = f"at line {text.count(chr(10)) + 1}, the end of the document"
        raise UserError(f"{name}: not valid TOML: {error}".replace("at end of document", last)) from None
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
    if level:
        raise UserError(f"{name}: nested deeper than {MAX_DEPTH} levels")
    return data


def load_model(data: Mapping[str, Any], model: type[Model], name: str) -> Model:
    """Validate parsed data as `model`.

    Raises:
        UserError: a value is wrong; the message has `name` and the key.
    """
    try:
        return model.model_validate(freeze_lists(data))
    except ValidationError as error:
        raise UserError(f"{name}: {format_validation_error(error, model)}") from None


def merge_tables(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into `base`, table by table; other values replace those of `base`."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = merge_tables(below, value) if both else value  # type: ignore[arg-type]
    return result


def freeze_lists(value: Any) -> Any:
    """Convert all lists in parsed data to tuples, for frozen models."""
    if isinstance(value, Mapping):
        return {key: freeze_lists(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(freeze_lists(item) for item in value)
    return value


def format_validation_error(error: ValidationError, model: type[FrozenModel]) -> str:
    """Describe one error of a validation: an unknown key first, which often explains the others."""
    errors = error.errors(include_url=False)
    first = next((item for item in errors if item["type"] == "extra_forbidden"), errors[0])
    path = [str(part) for part in first["loc"]]
    where = ".".join(path) or "top level"
    if first["type"] == "extra_forbidden":
        table = _model_at(model, path[:-1])
        if path[-1] in table.renamed:
            return f"key {quote_value(where)} is called {quote_value(table.renamed[path[-1]])} now"
        accepted = [field.alias or key for key, field in table.model_fields.items()]
        return (
            f"unknown key {quote_value(where)}{suggest(path[-1], accepted)}; accepted: {', '.join(accepted)}"
        )
    return f"key {quote_value(where)}: {_describe_problem(first)}"


def _describe_problem(error: Any) -> str:
    """Say what is wrong with a value: with the value and what is accepted, where pydantic has a pattern or a type."""
    context = error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        accepted = _ACCEPTED.get(context["pattern"], f"what matches {context['pattern']}")
        value = str(error["input"])
        # What stands before or behind an `@` may be a password.
        return f"{'it' if '@' in value else quote_value(value)} is none; accepted: {accepted}"
    if error["type"] == "too_short" and not error["input"]:
        return f"is empty; accepted: at least {context['min_length']}"
    message: str = error["msg"]
    for theirs, ours in (("Input should be a valid tuple", "must be a list"), ("Tuple ", "it ")):
        message = message.replace(theirs, ours)
    return message.removeprefix("Value error, ")


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def _model_at(model: type[FrozenModel], path: list[str]) -> type[FrozenModel]:
    current = model
    for part in path:
        field = current.model_fields.get(part)
        # A part that is not a field is a key of a free table, or an index of a list.
        current = (_inner_model(field.annotation) if field else None) or current
    return current


def _inner_model(annotation: Any) -> Any:
    """Return the model inside an annotation, such as `Pair` in `tuple[Pair, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, FrozenModel):
        return annotation
    inner = (_inner_model(part) for part in get_args(annotation))
    return next((model for model in inner if model is not None), None)
