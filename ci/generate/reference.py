"""Render the reference page: all public functions and arguments, with the texts of `--help`."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field
from typing import Any, get_args, get_origin, get_type_hints

from ci import choices
from ci.config.matrix import Matrix
from ci.config.sources import read_profiles
from ci.plan.inputs import RayMode

REFERENCE = "docs/reference.md"
HEAD = """\
# Reference

All public functions and arguments, generated from the module by `./daggerw call generate export --path .`: do not edit
this page. Arguments of [every call](#options-of-every-call) come before the function's name, its own after it. Results
have functions too: `dagger call FUNCTION --help` lists them.
"""
# Values that the CLI accepts for an argument, and results of functions, by the names of their types.
ARGUMENT_TYPES: Mapping[str, str] = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "nothing: a switch",
    "File": "a file's path",
    "Directory": "a folder's path",
    "Container": "an image's name",
    "Service": "`tcp://HOST:PORT`",
    "Secret": "`env:NAME` or `file:PATH`",
}
RESULT_TYPES: Mapping[str, str] = {"str": "text", "Container": "an image", "Directory": "a folder"}


def render_reference(
    module: type, options: Iterable[Field[Any]], aliases: Mapping[str, object], matrix: Matrix
) -> str:
    """Return the page (Markdown) of a module's main object, with the values that a matrix has.

    `options` are the fields of the object, `aliases` the types of arguments by their names in `ci.args`.
    """
    hints = get_type_hints(module, include_extras=True)
    values = accepted_values(matrix)
    known = [(aliases[name], text) for name, text in values.items()]
    of_every_call = [
        _row(field.name, hints[field.name], field.default, known)
        for field in options
        if field.default is not MISSING
    ]
    functions = public_functions(module)
    lines = [HEAD, "## The matrix", "", *_pair_table(matrix), ""]
    lines += ["Targets: " + ", ".join(f"`{target}`" for target in matrix.targets) + ".", ""]
    lines += ["## Functions", "", *_table(("function", "what it does"), _function_rows(functions)), ""]
    lines += ["## Options of every call", "", *_table(COLUMNS, of_every_call)]
    for name, method in functions.items():
        lines += [
            "",
            f"## {name}",
            "",
            describe_function(method),
            "",
            f"    ./daggerw call {find_example(method)}",
            "",
        ]
        types = get_type_hints(method, include_extras=True)
        rows = [
            _row(parameter.name, types[parameter.name], parameter.default, known)
            for parameter in inspect.signature(method).parameters.values()
            if parameter.name != "self"
        ]
        lines += [*_table(COLUMNS, rows), ""] if rows else []
        lines.append(f"Returns {_describe_result(types['return'])}.")
    return "\n".join(lines) + "\n"


def public_functions(module: type) -> dict[str, Callable[..., Any]]:
    """Return the public functions of a module's main object, in order, by their CLI names."""
    return {
        cli_name(name): value for name, value in vars(module).items() if hasattr(value, "__dagger_function__")
    }


def cli_name(name: str) -> str:
    """Return the name of a function or argument on the command line: `ray-runtime`."""
    return name.replace("_", "-")


def find_example(method: Callable[..., Any]) -> str | None:
    """Return the example in a function's docstring: the last call of the function in it."""
    calls = re.findall(rf"`({cli_name(method.__name__)}(?: [^`]*)?)`", inspect.getdoc(method) or "")
    return calls[-1] if calls else None


def describe_function(method: Callable[..., Any]) -> str:
    """Return a function's docstring without the example at its end."""
    text = inspect.getdoc(method) or ""
    return re.sub(rf"(\s*Example)?: `{cli_name(method.__name__)}( [^`]*)?`\.?$", "", text).rstrip(".") + "."


def accepted_values(matrix: Matrix) -> dict[str, str]:
    """Return the accepted values of arguments, by the names of their types in `ci.args`."""
    cudas, pythons = (
        dict.fromkeys(column) for column in zip(*((p.cuda, p.python) for p in matrix.pairs), strict=True)
    )
    lists: dict[str, Iterable[object]] = {
        "Cuda": cudas,
        "Cudas": cudas,
        "Python": pythons,
        "Pythons": pythons,
        "Target": matrix.targets,
        "Targets": matrix.targets,
        "Phases": matrix.phases,
        "SourcesName": read_profiles(),
        "Variant": matrix.variants,
        "RayMode": get_args(RayMode),
        "PlanFormat": choices.PLAN_FORMATS,
        "ReportFormat": choices.REPORT_FORMATS,
        "SizeFormat": choices.SIZE_FORMATS,
        "Compression": choices.COMPRESSIONS,
        "Verify": choices.VERIFY_MODES,
    }
    ranges = {
        "Jobs": (1, choices.MAX_JOBS),
        "Limit": (1, choices.MAX_CELLS),
        "DiskFloor": (0, choices.MAX_DISK_FLOOR),
    }
    return {
        **{name: ", ".join(f"`{value}`" for value in values) for name, values in lists.items()},
        **{name: f"{low} to {high}" for name, (low, high) in ranges.items()},
    }


# -- parts of the page -------------------------------------------------------------------------------------

COLUMNS = ("argument", "accepts", "default", "")


def _pair_table(matrix: Matrix) -> list[str]:
    rows = []
    for pair in matrix.pairs:
        phases = f"runtimes {pair.phases.runtime}, devels {pair.phases.devel}" if pair.phases else "none"
        condition = "" if pair.default else "only if it is named"
        rows.append((f"`{pair.cuda}`", f"`{pair.python}`", phases, condition))
    return _table(("`--cuda`", "`--python`", "build phases", ""), rows)


def _function_rows(functions: Mapping[str, Callable[..., Any]]) -> Iterator[tuple[str, ...]]:
    for name, method in functions.items():
        yield f"[{name}](#{name})", describe_function(method).split("\n", 1)[0]


def _row(name: str, hint: object, default: object, known: Iterable[tuple[object, str]]) -> tuple[str, ...]:
    kind, *extras = get_args(hint)
    text = next(extra.documentation for extra in extras if hasattr(extra, "documentation"))
    values = next((values for alias, values in known if alias == hint), "")
    if default is inspect.Parameter.empty:
        default_text = "required"
    else:
        default_text = "" if default is None or default is False else f"`{default}`"
    accepts = _describe_argument(kind)
    return f"`--{cli_name(name)}`", f"{accepts}: {values}" if values else accepts, default_text, text


def _describe_argument(kind: object) -> str:
    inner = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is list:
        return f"{_describe_argument(inner[0])}, several with commas"
    return _describe_argument(inner[0]) if inner else ARGUMENT_TYPES[getattr(kind, "__name__", "")]


def _describe_result(kind: object) -> str:
    if get_origin(kind) is list:
        return "lines of text"
    return RESULT_TYPES.get(getattr(kind, "__name__", ""), "a file")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    escaped = [" | ".join(cell.replace("|", r"\|") for cell in row) for row in (head, *rows)]
    return [f"| {escaped[0]} |", f"|{'---|' * len(head)}", *(f"| {row} |" for row in escaped[1:])]
