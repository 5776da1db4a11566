"""A Dockerfile of this module, built by the engine's own BuildKit, gives the image that Dagger composes."""

import sys
from dataclasses import dataclass

import pytest

from tests.engine.conftest import SmallStack, succeed
from tests.stand_ins import images
from tests.stand_ins.cache import CACHE
from tests.stand_ins.dockerfile import write_context

PAIR = ("--cuda=cpu", "--python=3.13")
TARGET = "marimo-runtime"

# What may differ, and why: patterns of paths, and keys of the configuration.
FILES = {
    "opt/env/conda-meta/history": "conda's log has the time at which the environment was made",
}
CONFIG = {"ArgsEscaped": "a mark that builders of Dockerfiles leave for Windows"}


@dataclass(frozen=True)
class Both:
    """The image as Dagger composes it, and as its Dockerfile gives it."""

    composed: images.Image
    built: images.Image


@pytest.fixture(scope="module")
def both(small: SmallStack, registry: int, tmp_path_factory: pytest.TempPathFactory) -> Both:
    repository = f"127.0.0.1:{registry}/parity"
    composed, built = f"{repository}:composed", f"{repository}:built"
    succeed(*small.words(), "build", *PAIR, f"--target={TARGET}", "publish", f"--address={composed}")
    context = tmp_path_factory.mktemp("context")
    file = write_context(context, "cpu-py3.13", *small.words(), "dockerfile", *PAIR)
    program = (sys.executable, "-m", "tests.stand_ins.docker_build")
    succeed("run", *program, str(context), file, TARGET, built, str(small.port))
    crane = next(CACHE.glob("parts/tools-*/crane"))
    return Both(images.read(crane, composed), images.read(crane, built))


def test_both_have_the_same_packages(both: Both) -> None:
    assert both.built.packages == both.composed.packages
    assert {"pip torch 0.1.0+cu130", "pip marimo 0.1.0"} <= both.built.packages
    assert any(name.startswith("conda python-3.13.") for name in both.built.packages)
    assert any(name.startswith("debian tini ") for name in both.built.packages)


@pytest.mark.parametrize("key", ["Env", "Labels", "Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts"])
def test_both_are_configured_alike(both: Both, key: str) -> None:
    assert both.built.config[key] == both.composed.config[key]


def test_nothing_else_is_configured(both: Both) -> None:
    keys = {key for key in {**both.built.config, **both.composed.config} if key not in CONFIG}
    assert {key for key in keys if both.built.config.get(key) != both.composed.config.get(key)} == set()


def test_both_have_the_same_files(both: Both) -> None:
    assert len(both.built.files) > 10_000
    odd = images.differing(both.composed, both.built, FILES)
    assert not odd, f"{len(odd)} files differ: {odd[:20]}"
