"""Parse JSON from outside, with errors of one line that name the file and the place."""

import json
from typing import Any

from ci.util.errors import UserError, quote_value

_BOM = "\ufeff"


def parse_json(text: str, name: str) -> dict[str, Any]:
    """Parse a JSON document that is an object; `name` is the file's.

    Raises:
        UserError: it is none, has a key twice, a number of thousands of digits, or is nested too deep.
    """

    def require_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise UserError(f"{name}: key {quote_value(key)} is given twice")
            found[key] = value
        return found

    refuse_bom(text, name)
    try:
        found = json.loads(text, object_pairs_hook=require_once, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name}: not JSON: {error.msg} (at line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise UserError(f"{name}: not JSON that is read here: nested too deep") from None
    except ValueError as error:
        digits = "a number has too many digits" if "digits" in str(error) else str(error)
        raise UserError(f"{name}: not JSON that is read here: {digits}") from None
    if not isinstance(found, dict):
        raise UserError(f"{name}: not a JSON object; accepted: {{…}}")
    return found


def refuse_bom(text: str, name: str) -> None:
    """Raise a UserError if a text begins with a byte order mark."""
    if text.startswith(_BOM):
        raise UserError(f"{name}: begins with a byte order mark (BOM); accepted: UTF-8 without one")


def _refuse_constant(value: str) -> None:
    raise ValueError(f"{value} is no number of JSON")
