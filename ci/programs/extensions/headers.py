"""Write headers that include of torch what a source uses, to be found before torch's own.

`torch/torch.h`, `torch/script.h` and `torch/extension.h` include nearly all of libtorch, and a CUDA source parses it
three times. Narrow headers of the same names include the tensor, the types of `torch/types.h`, every operator whose
name is a word of the source (so that all its overloads are seen), and what the words below need. A source that needs
more does not compile with them, and is compiled with torch's own headers then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

# Headers of torch that are replaced, by the name that sources include.
REPLACED = ("torch/torch.h", "torch/all.h", "torch/script.h", "torch/extension.h", "torch/types.h")
PYTHON = "Python.h"
_ALWAYS = (
    "ATen/core/Tensor.h",
    "ATen/Context.h",
    "ATen/Dispatch.h",
    "ATen/DeviceGuard.h",
    "ATen/TensorOperators.h",
    "ATen/TensorIndexing.h",
    "c10/core/ScalarType.h",
    "c10/util/Exception.h",
    "torch/csrc/autograd/generated/variable_factories.h",
    "torch/version.h",
    "array",
    "cmath",
    "functional",
    "memory",
    "optional",
    "string",
    "tuple",
    "unordered_map",
    "unordered_set",
    "vector",
)
# More headers, for sources in which a word occurs.
_FOR_WORDS: Mapping[str, tuple[str, ...]] = {
    r"TORCH_LIBRARY\w*|RegisterOperators|Library|class_": (
        "torch/library.h",
        "ATen/core/op_registration/op_registration.h",
    ),
    r"autograd": ("torch/csrc/autograd/custom_function.h",),
    r"GRAIN_SIZE|TensorIterator\w*": ("ATen/TensorIterator.h",),
    r"Dict": ("ATen/core/Dict.h",),
    r"List": ("ATen/core/List.h",),
    r"IValue|Dict|List": ("ATen/core/ivalue.h",),
    r"parallel_for|parallel_reduce|get_num_threads": ("ATen/Parallel.h",),
    r"Generator|get_generator_or_default": ("ATen/core/Generator.h",),
    r"InferenceMode": ("torch/csrc/autograd/InferenceMode.h",),
    r"NoGradGuard|AutoGradMode": ("torch/csrc/api/include/torch/utils.h",),
}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)
_WORD = re.compile(r"\b[A-Za-z_]\w*")
_PYTHON_WORD = re.compile(r"\b(?:_?Py(?:[A-Z]|_)\w*|PY_\w+|PYBIND11_\w+|pybind11)\b")
_COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*")', re.DOTALL)


@dataclass(frozen=True)
class Closure:
    """A source with the files of its package that it includes: their text, and the other headers that they include."""

    text: str
    headers: frozenset[str]

    @property
    def words(self) -> frozenset[str]:
        """Return all words of the text."""
        return frozenset(_WORD.findall(self.text))

    @property
    def replaced(self) -> tuple[str, ...]:
        """Return those of the headers that narrow ones replace."""
        return tuple(name for name in REPLACED if name in self.headers)

    @property
    def uses_python(self) -> bool:
        """Return whether Python.h must be there: something of it is named, or torch's bindings for Python are."""
        return bool(_PYTHON_WORD.search(self.text)) or "torch/python.h" in self.headers


def read_closure(source: Path, folders: Iterable[Path], top: Path) -> Closure:
    """Read a source and all files below `top` that it includes; `folders` are the command's include folders.

    Comments, and what is compiled for Windows only, do not count.
    """
    inside = [folder for folder in folders if folder.is_relative_to(top)]
    texts: list[str] = []
    headers: set[str] = set()
    seen: set[Path] = set()
    waiting = [source]
    while waiting:
        path = waiting.pop().resolve()
        if path in seen:
            continue
        seen.add(path)
        text = without_windows(without_comments(path.read_text(encoding="utf-8", errors="replace")))
        texts.append(text)
        for quoted, angled in _INCLUDE.findall(text):
            name = quoted or angled
            places = [path.parent, *inside] if quoted else inside
            found = next((place / name for place in places if (place / name).is_file()), None)
            if found:
                waiting.append(found)
            else:
                headers.add(name)
    return Closure("\n".join(texts), frozenset(headers))


def without_comments(text: str) -> str:
    """Return a source without its comments."""
    return _COMMENT.sub(lambda found: found[1] or " ", text)


def without_windows(text: str) -> str:
    """Return a source without the lines between `#ifdef _WIN32` and its `#else` or `#endif`.

    >>> without_windows("#ifdef _WIN32\\na\\n#else\\nb\\n#endif\\nc").split()
    ['b', 'c']
    """
    kept: list[str] = []
    conditions: list[bool | None] = []  # is this for Windows? None: any other condition
    for line in text.split("\n"):
        found = re.match(r"\s*#\s*(if|ifdef|ifndef|else|elif|endif)\b\s*(.*)", line)
        word, rest = found.groups() if found else ("", "")
        mine = False
        if word in ("if", "ifdef", "ifndef"):
            windows = word != "if" and rest.split() in (["_WIN32"], ["_MSC_VER"])
            conditions.append((word == "ifdef") if windows else None)
            mine = windows
        elif word in ("else", "elif", "endif") and conditions and conditions[-1] is not None:
            mine = True
            last = conditions.pop()
            if word != "endif":
                conditions.append(word == "else" and not last)
        elif word == "endif" and conditions:
            conditions.pop()
        if not mine and not any(conditions):
            kept.append(line)
    return "\n".join(kept)


def write_text(types: str, words: Iterable[str], operators: Iterable[str], has: Sequence[str]) -> str:
    """Return the text of the narrow `torch/types.h`, which the others include.

    `types` is torch's own, of which everything but its includes is taken; `operators` are the names that have a header,
    and `has` are those of the headers above that this torch has.
    """
    used = frozenset(words)
    headers = [*_ALWAYS]
    for pattern, more in _FOR_WORDS.items():
        if any(re.fullmatch(pattern, word) for word in used):
            headers += more
    names = [name for name in dict.fromkeys(headers) if name in has or not name.endswith(".h")]
    names += [f"ATen/ops/{name}.h" for name in sorted(used.intersection(operators))]
    lines = ["#pragma once", "#ifndef AT_PER_OPERATOR_HEADERS", "#define AT_PER_OPERATOR_HEADERS", "#endif"]
    lines += [f"#include <{name}>" for name in names]
    body = re.sub(r"^[ \t]*#[ \t]*(?:include\b.*|pragma[ \t]+once[ \t]*)$", "", types, flags=re.MULTILINE)
    return "\n".join([*lines, without_comments(body).strip(), ""])


class TorchHeaders:
    """The headers of one torch."""

    def __init__(self, include: Path) -> None:
        api = include / "torch/csrc/api/include"
        self.folders = (include, api)
        types = api / "torch/types.h"
        self.types = types.read_text(encoding="utf-8") if types.is_file() else ""
        self.operators = frozenset(path.stem for path in (include / "ATen/ops").glob("*.h"))
        names = [*_ALWAYS, *(name for more in _FOR_WORDS.values() for name in more)]
        self.has = tuple(
            name for name in names if name.endswith(".h") and any((f / name).is_file() for f in self.folders)
        )

    @property
    def known(self) -> bool:
        """Return whether this torch has the headers that narrow ones are made of."""
        return bool(self.types and self.operators)

    def write(self, folder: Path, closure: Closure, guard: str = "") -> None:
        """Write the narrow headers of a source into a folder; `guard` are their last lines."""
        (folder / "torch").mkdir(parents=True, exist_ok=True)
        text = write_text(self.types, closure.words, self.operators, self.has) + guard
        for name in REPLACED:
            own = text if name == "torch/types.h" else "#pragma once\n#include <torch/types.h>\n"
            (folder / name).write_text(own, encoding="utf-8")
        if not closure.uses_python:
            # Included by many sources that use nothing of it: without it an object is the same for every Python.
            (folder / PYTHON).write_text("#pragma once\n", encoding="utf-8")
