"""Every stage on a small stack: real conda, nvcc, strip and conda-pack; torch, PyG, Ray and marimo are stand-ins."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.engine.conftest import ROOT, SmallStack, dagger, succeed
from tests.stand_ins import servers

PAIR = ("--cuda=13.1.1", "--python=3.14")
PYTHON = "/opt/env/bin/python"

# Runs inside an image and prints what a user would look at.
LOOK = """
import importlib.metadata as m, json, os, pathlib, pwd, subprocess, sys
names = ["torch", "torch-geometric", "torch-scatter", "torch-spline-conv", "ray", "marimo", "pip"]
found = {n: m.version(n) for n in names if any(d.metadata["Name"].replace("_", "-") == n for d in m.distributions())}
nvcc = subprocess.run(["nvcc", "--version"], capture_output=True, text=True).stdout if "CUDA_HOME" in os.environ else ""
import torch_scatter
symbols = pathlib.Path("/opt/env").glob("lib/python3.*/site-packages/torch/lib/libstand_in.so")
print(json.dumps({
    "python": sys.version.split()[0], "prefix": sys.prefix, "versions": found, "nvcc": nvcc,
    "user": pwd.getpwuid(os.getuid()).pw_name, "cwd": os.getcwd(), "home_writable": os.access(".", os.W_OK),
    "extension": [p.name for p in pathlib.Path(torch_scatter.__file__).parent.glob("*.so")],
    "symbols": b"hidden" in next(symbols).read_bytes(),
    "env": {k: v for k, v in os.environ.items() if k in ("PATH", "CUDA_HOME", "LANG", "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES", "SSL_CERT_FILE", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "CCACHE_DIR")},
    "leftovers": [p for p in ("/channel", "/run/cslr-images", "/opt/env/bin/conda-unpack") if os.path.exists(p)],
}))
"""


def look(stack: SmallStack, *build: str) -> dict[str, object]:
    """Build an image and look around in it."""
    printed = succeed(*stack.words(), *build, "with-exec", f"--args={PYTHON},-c,{quoted(LOOK)}", "stdout")
    found: dict[str, object] = json.loads(printed)
    return found


def quoted(text: str) -> str:
    """Quote one value for the CLI's comma-separated lists."""
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def runtime(small: SmallStack) -> dict[str, object]:
    return look(small, "build", *PAIR, "--target=marimo-runtime")


def test_the_runtime_has_the_whole_environment(runtime: dict[str, object]) -> None:
    assert str(runtime["python"]).startswith("3.14.")
    assert runtime["prefix"] == "/opt/env"
    versions = runtime["versions"]
    assert isinstance(versions, dict)
    found = {name: versions.get(name) for name in ("torch", "torch-scatter", "ray", "marimo")}
    assert found == {"torch": "0.1.0+cu130", "torch-scatter": "0.1.0", "ray": "0.1.0", "marimo": "0.1.0"}


def test_the_extension_was_compiled_by_nvcc(runtime: dict[str, object]) -> None:
    assert any(str(name).startswith("_stand_in_cuda") for name in list(runtime["extension"]))  # type: ignore[call-overload]


def test_the_runtime_keeps_a_compiler_for_cuda(runtime: dict[str, object]) -> None:
    assert "V13.1.115" in str(runtime["nvcc"])


def test_the_runtime_is_configured_as_people_expect(runtime: dict[str, object]) -> None:
    assert runtime["user"] == "cslr"
    assert runtime["cwd"] == "/workspace"
    assert runtime["home_writable"] is True
    assert runtime["env"] == {
        "PATH": "/home/cslr/.local/bin:/opt/env/bin:/usr/local/cuda/bin:/usr/local/nvidia/bin:"
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "CUDA_HOME": "/usr/local/cuda",
        "LANG": "C.UTF-8",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    }


def test_nothing_of_the_build_stays_behind(runtime: dict[str, object]) -> None:
    assert runtime["leftovers"] == []


def test_symbols_stay_by_default(runtime: dict[str, object]) -> None:
    assert runtime["symbols"] is True


def test_labels_tell_what_is_inside(small: SmallStack) -> None:
    image = ("build", *PAIR, "--target=ray-runtime")
    labels = {
        name: succeed(*small.words(), *image, "label", f"--name=io.cslr-images.{name}").strip()
        for name in ("cuda", "toolkit-compiler", "torch", "ray")
    }
    assert labels == {
        "cuda": "13.1.1",
        "toolkit-compiler": "nvcc 13.1.115",
        "torch": "0.1.0+cu130",
        "ray": "0.1.0",
    }


def test_devel_has_the_tools(small: SmallStack) -> None:
    printed = succeed(
        *small.words(),
        "devel",
        *PAIR,
        "with-exec",
        "--args=sh,-c,conda-pack --version; uv --version; conda-env list; id -un",
        "stdout",
    )
    assert printed.split()[-1] == "root"
    assert "conda-pack 0.9.2" in printed
    assert "uv 0.13.9" in printed
    assert "python_abi" in printed


def test_the_hybrid_toolkit_says_what_it_is(small: SmallStack) -> None:
    image = ("base", "--cuda=12.8.1", "--python=3.13")
    printed = succeed(
        *small.words(), *image, "with-exec", "--args=/usr/local/cuda/bin/nvcc,--version", "stdout"
    )
    assert "V12.4.131" in printed


def test_cpu_images_have_no_toolkit(small: SmallStack) -> None:
    found = look(small, "build", "--cuda=cpu", "--python=3.13", "--target=runtime")
    assert found["nvcc"] == ""
    assert any(str(name).startswith("_stand_in_cpu") for name in list(found["extension"]))  # type: ignore[call-overload]


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder with a short path: binary files have no room for a longer prefix than they were built for."""
    with TemporaryDirectory(prefix="c") as name:
        yield Path(name)


def test_the_packed_environment_runs_anywhere(small: SmallStack, tmp_path: Path, elsewhere: Path) -> None:
    archive = tmp_path / "env.tar.zst"
    succeed(*small.words(), "pack", *PAIR, "--target=ray-devel", "export", f"--path={archive}")
    with subprocess.Popen(["zstd", "-dc", str(archive)], stdout=subprocess.PIPE) as unzip:
        subprocess.run(["tar", "-x", "-C", str(elsewhere)], stdin=unzip.stdout, check=True)
    bare = {"PATH": f"{elsewhere}/bin:/usr/bin:/bin"}
    subprocess.run([elsewhere / "bin/python", elsewhere / "bin/conda-unpack"], env=bare, check=True)
    code = "import ssl, sys, ray; print(sys.prefix, ray.__version__, bool(ssl.create_default_context().get_ca_certs()))"
    ran = subprocess.run(
        [elsewhere / "bin/python", "-c", code], env=bare, check=True, capture_output=True, text=True
    )
    assert ran.stdout.split() == [str(elsewhere), "0.1.0", "True"]


def test_packed_and_unpack_are_two_ends_of_one_thing(small: SmallStack, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    succeed(*small.words(), "packed", *PAIR, "--target=devel", "export", f"--path={tree}")
    printed = succeed(
        *small.words(), "unpack", *PAIR, f"--packed={tree}", "with-exec", f"--args={PYTHON},-VV", "stdout"
    )
    assert printed.startswith("Python 3.14.")


def test_a_marimo_runtime_serves_a_notebook(small: SmallStack) -> None:
    port = servers.free_port()
    words = [str(ROOT / "daggerw"), *small.words(), "marimo-runtime", *PAIR, "up", f"--ports={port}:8080"]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            told = json.loads(answered(port, process))
        finally:
            process.terminate()
    assert told == {
        "words": ["edit", "--headless", "--host", "0.0.0.0", "--port", "8080", "--no-token"],  # noqa: S104
        "folder": "/workspace",
        "user": 1000,
    }


def answered(port: int, process: subprocess.Popen[bytes]) -> bytes:
    """Ask a port of 127.0.0.1 until it answers, as long as the process that opens it runs."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                content: bytes = answer.read()
                return content
        except OSError:  # nobody listens there yet, or only Dagger does
            time.sleep(0.5)
    raise RuntimeError(f"daggerw ended with status {process.returncode}")


def test_a_promise_that_is_not_kept_fails_the_call_and_is_named(small: SmallStack) -> None:
    answer = dagger(*small.words(), "verify", *PAIR, "--target=runtime")
    assert answer.status != 0
    # The stand-in for torch has no tensors: what needs them fails, what only needs versions does not.
    assert "checks failed" in answer.error
    assert "train_step" in answer.error
    assert "Traceback" not in answer.error


def test_the_sizes_of_an_image_are_told_and_compared(small: SmallStack, tmp_path: Path) -> None:
    sizes = (*small.words(), "size", *PAIR)
    before = tmp_path / "runtime.json"
    before.write_text(succeed(*sizes, "--target=runtime", "--format=json"), "utf-8")
    found = json.loads(before.read_text("utf-8"))
    assert list(found["layers"]) == ["runtime-base", "libraries", "pack"]
    assert sum(found["layers"].values()) == sum(found["packages"].values()) == found["total"]
    assert {"pip:torch", "conda:python", "toolkit"} <= set(found["packages"])
    assert any(name.startswith("debian:") for name in found["packages"])
    assert found["archs"]["sm_80"] > 0, "the compiled kernel"
    said = succeed(*sizes, "--target=ray-runtime", f"--against={before}")
    assert " MB before, " in said
    answer = dagger(*sizes, "--target=runtime", f"--against={small.mirrors}")
    assert "not sizes as" in answer.error


def test_the_dockerfile_of_a_pair_is_written(small: SmallStack, tmp_path: Path) -> None:
    succeed(*small.words(), "dockerfile", *PAIR, "export", f"--path={tmp_path / 'pair'}")
    text = (tmp_path / "pair/Dockerfile").read_text("utf-8")
    for target in ("devel", "runtime", "ray-devel", "ray-runtime", "marimo-devel", "marimo-runtime"):
        assert f" AS {target}\n" in text
