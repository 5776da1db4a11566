"""extensions/headers.py and macros.py: what is read from sources, and headers that real compilers take or refuse."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from extensions import macros
from extensions.headers import TorchHeaders, read_closure, without_windows

SOURCE = """
#ifdef WITH_PYTHON
#include <Python.h>
#endif
#include <torch/script.h>
#include "own.h"
// torch::zeros in a comment
#ifdef _WIN32
PyMODINIT_FUNC PyInit_x(void) { return NULL; }
#else
int on_linux;
#endif
at::Tensor f(at::Tensor x) { return cat({x, x}); }
"""


@pytest.fixture
def torch(tmp_path: Path) -> TorchHeaders:
    """A folder of headers shaped like torch's."""
    include = tmp_path / "torch/include"
    api = include / "torch/csrc/api/include/torch"
    for path, text in {
        api / "types.h": "#pragma once\n#include <ATen/ATen.h>\nnamespace torch { using Dtype = int; }\n",
        api / "version.h": "#define TORCH_VERSION_MAJOR 2\n",
        include / "ATen/core/Tensor.h": "namespace at { struct Tensor {}; }\n",
        include / "ATen/ops/cat.h": "namespace at { inline int cat() { return 1; } }\n",
        include / "ATen/ops/zeros.h": "namespace at { inline int zeros() { return 1; } }\n",
        include / "torch/library.h": "#define TORCH_LIBRARY 1\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return TorchHeaders(include)


def source(folder: Path, text: str, **others: str) -> Path:
    (folder / "csrc").mkdir(exist_ok=True)
    for name, other in others.items():
        (folder / "csrc" / f"{name}.h").write_text(other, encoding="utf-8")
    (folder / "csrc/a.cpp").write_text(text, encoding="utf-8")
    return folder / "csrc/a.cpp"


def test_a_closure_has_the_package_s_own_files_and_names_the_others(tmp_path: Path) -> None:
    made = source(tmp_path, SOURCE, own='#include "deeper.h"\n#include <torch/torch.h>', deeper="int deeper;")
    closure = read_closure(made, [tmp_path / "csrc"], tmp_path)
    assert {"cat", "deeper", "on_linux"} <= closure.words
    assert not {"zeros", "PyInit_x"} & closure.words
    assert closure.headers == {"Python.h", "torch/script.h", "torch/torch.h"}
    assert closure.replaced == ("torch/torch.h", "torch/script.h")
    assert not closure.uses_python, "what is for Windows does not count"


@pytest.mark.parametrize(
    "line", ["PYBIND11_MODULE(x, m) {}", "PyObject *o;", "#if PY_VERSION_HEX > 3\n#endif", "Py_ssize_t n;"]
)
def test_a_source_that_names_something_of_python_keeps_its_header(
    tmp_path: Path, torch: TorchHeaders, line: str
) -> None:
    closure = read_closure(source(tmp_path, f"#include <torch/extension.h>\n{line}\n"), [], tmp_path)
    assert closure.uses_python
    torch.write(tmp_path / "narrow", closure)
    assert not (tmp_path / "narrow/Python.h").exists()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("#ifdef _WIN32\na\n#elif B\nb\n#endif\nc", ["b", "c"]),
        ("#ifndef _WIN32\na\n#else\nb\n#endif", ["a"]),
        ("#ifdef _WIN32\n#ifdef B\na\n#else\nb\n#endif\n#endif\nc", ["c"]),
        ("#if A\na\n#else\nb\n#endif", ["#if", "A", "a", "#else", "b", "#endif"]),
    ],
)
def test_lines_for_windows_are_left_out(text: str, kept: list[str]) -> None:
    assert without_windows(text).split() == kept


def test_narrow_headers_hold_the_operators_that_are_words_of_the_source(
    tmp_path: Path, torch: TorchHeaders
) -> None:
    closure = read_closure(source(tmp_path, SOURCE, own="TORCH_LIBRARY"), [tmp_path / "csrc"], tmp_path)
    torch.write(tmp_path / "narrow", closure)
    text = (tmp_path / "narrow/torch/types.h").read_text(encoding="utf-8")
    assert "#include <ATen/ops/cat.h>" in text
    assert "zeros" not in text
    assert "#include <torch/library.h>" in text
    assert "using Dtype = int;" in text, "torch's own types"
    assert "ATen/ATen.h" not in text, "but not what they include"
    assert (tmp_path / "narrow/Python.h").exists()


def compiles(folder: Path, made: Path, *words: str) -> bool:
    command = ["g++", "-c", *words, "-I", folder / "narrow", "-I", folder / "torch/include"]
    command += ["-I", folder / "torch/include/torch/csrc/api/include", made, "-o", folder / "a.o"]
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_a_real_compiler_refuses_what_a_guard_misses(tmp_path: Path, torch: TorchHeaders) -> None:
    text = "#include <torch/torch.h>\n#if FAST > 1\nint a = at::cat();\n#endif\nauto b = at::cat();"
    made = source(tmp_path, text)
    closure = read_closure(made, [], tmp_path)
    asked = macros.names_in_conditions(closure.text)
    assert asked == {"FAST"}
    torch.write(tmp_path / "narrow", closure)
    assert compiles(tmp_path, made), "without a word, as nothing"
    torch.write(tmp_path / "narrow", closure, macros.guard(asked))
    assert not compiles(tmp_path, made)
    assert compiles(tmp_path, made, "-DFAST=2")


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_macros_are_read_by_an_object_s_own_command(tmp_path: Path) -> None:
    probe, out = tmp_path / "probe.cpp", tmp_path / "macros.txt"
    probe.write_text("#define FROM_HEADER 3\n", encoding="utf-8")
    words = ["g++", "-DGIVEN", "-c", "no-such.cpp", "-o", "no-such.o"]
    command = macros.probe_command(words, probe, out, cuda=False)
    found = macros.read_macros(command, tmp_path, out, os.environ)
    assert found is not None
    assert {"FROM_HEADER", "GIVEN"} <= found
    probe.write_text("#include <no/such/header.h>\n", encoding="utf-8")
    assert macros.read_macros(command, tmp_path, out, os.environ) is None
