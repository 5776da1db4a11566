"""Variants on the small stack: what they take out is gone, what they promise is kept, and too much is noticed."""

import json
import re
from pathlib import Path

import pytest

from tests.engine.conftest import SmallStack, dagger, succeed
from tests.engine.test_layers import layers
from tests.engine.test_small_stack import LOOK, PAIR, PYTHON, quoted
from tests.stand_ins import small_stack

# What the stand-ins can promise, and a variant for each way to take out too much.
VARIANTS = """
[verify]
checks = ["versions", "pip_check", "no_root_needed", "pip_install", "profiler_symbols", "standard_library"]

[rules.sources]
takes = "sources"
remove = ["lib/python3.*/config-*/**", "share/man/**"]
noticed_by = ["versions"]
[rules.pip]
takes = "pip, which is too much"
remove = ["lib/python3.*/site-packages/pip/**"]
noticed_by = ["pip_install", "pip_check"]
[rules.torch]
takes = "what tells the version of torch, which is too much"
remove = ["lib/python3.*/site-packages/torch-*.dist-info/**"]
noticed_by = ["versions"]
[rules.ssl]
takes = "a library of the interpreter, which is too much"
remove = ["lib/libz.so*", "lib/python3.*/lib-dynload/zlib*", "lib/python3.*/zipfile/**"]
noticed_by = ["pip_install"]

[variants.default]
[variants.slim]
rules = ["sources"]
strip = "unneeded"
waives = { profiler_symbols = "stripped" }
[variants.minimal]
strip = "unneeded"
apt = ["ca-certificates", "tini"]
toolkit = false
waives = { profiler_symbols = "stripped" }
[variants.uv]
conda = false
waives = { profiler_symbols = "the stand-in has none" }
[variants.no-pip]
rules = ["pip"]
waives = { profiler_symbols = "the stand-in has none" }
[variants.no-torch]
rules = ["torch"]
waives = { profiler_symbols = "the stand-in has none" }
[variants.no-zip]
rules = ["ssl"]
waives = { profiler_symbols = "the stand-in has none" }
"""
RUNTIME = (*PAIR, "--target=runtime")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small stack's matrix with variants."""
    return small_stack.matrix_with(tmp_path_factory.mktemp("variants") / "matrix.toml", more=VARIANTS)


def words(small: SmallStack, matrix: Path, variant: str) -> list[str]:
    """Return the options of a call with a variant."""
    first, *rest = small.words(matrix=matrix)
    return [first, f"--variant={variant}", *rest]


def test_slim_takes_symbols_out_and_keeps_the_compiler(small: SmallStack, matrix: Path) -> None:
    program = ("with-exec", f"--args={PYTHON},-c,{quoted(LOOK)}", "stdout")
    found = json.loads(succeed(*words(small, matrix, "slim"), "build", *RUNTIME, *program))
    assert found["symbols"] is False
    assert "V13.1.115" in found["nvcc"]


def test_what_is_not_promised_is_told_with_the_reason(small: SmallStack, matrix: Path) -> None:
    said = succeed(*words(small, matrix, "slim"), "verify", *RUNTIME)
    assert "all 5 checks passed" in said
    assert re.search(r"profiler_symbols +waived by slim: stripped", said)


def test_minimal_has_no_compiler_and_says_so(small: SmallStack, matrix: Path) -> None:
    program = (
        "import os, shutil; print(shutil.which('gcc'), shutil.which('nvcc'), os.environ.get('CUDA_HOME'),"
        " os.path.exists('/usr/local/cuda/bin/nvcc'))"
    )
    run = ("with-exec", f"--args={PYTHON},-c,{quoted(program)}", "stdout")
    # Where the toolkit would be, which is on no PATH without it.
    found = succeed(*words(small, matrix, "minimal"), "build", *RUNTIME, *run).split()
    assert found == [*["None"] * 3, "False"]
    label = ("label", "--name=io.cslr-images.variant")
    assert succeed(*words(small, matrix, "minimal"), "build", *RUNTIME, *label).strip() == "minimal"


@pytest.mark.parametrize(
    ("variant", "noticed"), [("no-pip", "pip_install"), ("no-torch", "versions"), ("no-zip", "pip_install")]
)
def test_a_variant_that_takes_too_much_breaks_a_promise(
    small: SmallStack, matrix: Path, variant: str, noticed: str
) -> None:
    answer = dagger(*words(small, matrix, variant), "verify", *RUNTIME)
    assert answer.status != 0
    assert "checks failed" in answer.error
    assert noticed in answer.error


# Looks for conda and for what an interpreter without it must have.
BARE = """
import importlib.metadata as m, json, os, pathlib, ssl, subprocess, sys, zoneinfo
check = [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"]
print(json.dumps({
    "python": sys.version.split()[0], "prefix": sys.prefix, "torch": m.version("torch"), "ray": m.version("ray"),
    "conda": [name for name in ("conda-meta", "condabin", "bin/conda") if os.path.exists(f"/opt/env/{name}")],
    "variable": os.environ.get("CONDA_PREFIX"), "certificates": len(ssl.create_default_context().get_ca_certs()) > 50,
    "check": subprocess.run(check, capture_output=True, text=True).stdout.strip(),
    "zone": zoneinfo.ZoneInfo("Asia/Tokyo").key,
    "compiled": any(pathlib.Path("/opt/env").glob("lib/python3.*/site-packages/**/__pycache__/*.pyc")),
    "markers": [str(one) for one in pathlib.Path("/opt/env").glob("lib/python3.*/EXTERNALLY-MANAGED")],
}))
"""


def test_without_conda_the_environment_is_the_same_and_works(small: SmallStack, matrix: Path) -> None:
    run = ("with-exec", f"--args={PYTHON},-B,-c,{quoted(BARE)}", "stdout")
    image = ("build", *PAIR, "--target=ray-runtime")
    found = json.loads(succeed(*words(small, matrix, "uv"), *image, *run))
    assert found.pop("python").startswith("3.14.")
    assert found == {
        "prefix": "/opt/env",
        "torch": "0.1.0+cu130",
        "ray": "0.1.0",
        "conda": [],
        "variable": None,
        "certificates": True,
        "check": "No broken requirements found.",
        "zone": "Asia/Tokyo",
        "compiled": True,
        "markers": [],
    }


@pytest.mark.parametrize(("variant", "conda"), [("default", True), ("uv", False)])
def test_a_stage_is_the_one_of_the_variant(
    small: SmallStack, matrix: Path, variant: str, conda: bool
) -> None:
    run = ("with-exec", "--args=ls,/opt/env", "stdout")
    assert ("conda-meta" in succeed(*words(small, matrix, variant), "torch", *PAIR, *run).split()) is conda


def test_without_conda_all_promises_are_kept(small: SmallStack, matrix: Path) -> None:
    said = succeed(*words(small, matrix, "uv"), "verify", *RUNTIME)
    assert "cu13.1.1-py3.14-runtime@uv: all 5 checks passed" in said


def test_without_conda_the_base_and_cudas_libraries_are_the_same_layers(
    small: SmallStack, matrix: Path, registry: int
) -> None:
    found = []
    for variant in ("default", "uv"):
        address = f"127.0.0.1:{registry}/layers:conda-{variant}"
        succeed(*words(small, matrix, variant), "build", *RUNTIME, "publish", f"--address={address}")
        found.append(layers(registry, f"conda-{variant}"))
    usual, bare = found
    differ = [place for place, (one, other) in enumerate(zip(bare, usual, strict=True)) if one != other]
    last = len(usual) - 1
    assert differ == [last - 3, last], "login shells' variables, for CONDA_PREFIX, and the environment"


def test_without_conda_there_is_nothing_for_conda_pack(small: SmallStack, matrix: Path) -> None:
    answer = dagger(*words(small, matrix, "uv"), "pack", *RUNTIME)
    assert answer.status != 0
    assert "conda-pack exports what conda made: the environment of variant uv is not" in answer.error
    sizes = json.loads(succeed(*words(small, matrix, "uv"), "size", *RUNTIME, "--format=json"))
    assert {"pip:torch", "environment"} <= set(sizes["packages"])
    assert not [name for name in sizes["packages"] if name.startswith("conda:")]


def test_what_variants_take_out_is_told(small: SmallStack, matrix: Path) -> None:
    said = succeed(*words(small, matrix, "slim"), "variants")
    assert "takes out sources: sources" in said
    assert "waives profiler_symbols: stripped" in said


def test_an_unknown_variant_is_told_in_one_line(small: SmallStack, matrix: Path) -> None:
    answer = dagger(*words(small, matrix, "slimm"), "build", *RUNTIME)
    assert answer.status != 0
    assert "slimm" in answer.error
    assert "slim" in answer.error.split("slimm", 1)[1]
    assert "Traceback" not in answer.err
