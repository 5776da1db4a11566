"""Every public function, called for real and chained, with every option that is an object of Dagger's.

What it returns goes through the client's run-time checks, as an id where it is a container, a folder or a file.
"""

import inspect
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import dagger
import pytest
from dagger.client.base import Type

from tests.engine.conftest import ROOT, SmallStack, answer_of, succeed
from tests.engine.test_matrix import PROMISES
from tests.stand_ins import client_api, small_stack
from tests.stand_ins.proxy import webhook
from tests.stand_ins.terminal import in_terminal, until

PAIR = ("--cuda=13.1.1", "--python=3.14")
CPU = ("--cuda=cpu", "--python=3.13")
CELL = (*CPU, "--target=runtime")
LOGIN = ("--registry-user=me", "--registry-password=env:PASSWORD")
ONE = ("--only=cpu-py3.13-runtime",)
PYTHON = "/opt/env/bin/python"
DOCKER_CONFIG = '{"auths": {"registry.example": {"auth": "bWU6c2VjcmV0"}}}'


def run(command: str) -> tuple[str, ...]:
    """Return the words that run a command of one word and one argument in a container, and print its output."""
    return ("with-exec", f"--args={command.replace(' ', ',')}", "stdout")


# What each function is called with and followed by, and a pattern of what is then printed. {…} are the fixtures' paths.
CALLS: dict[str, tuple[tuple[str, ...], str]] = {
    # lists and text
    "cells": (ONE, r"^cpu-py3.13-runtime\n$"),
    "plan": (
        (*ONE, "--history={history}", "--changed-since={before}", "--format=json"),
        r'"cell": "cpu-py3.13-runtime"',
    ),
    "variants": ((), r"^default"),
    "matrix": (
        (*ONE, "--disk-floor=1", "--history={history}", "--webhook=env:HOOK", "--webhook-service={hook}"),
        r"cpu-py3.13-runtime .*ok",
    ),
    "publish": (
        (
            *CELL,
            "--repositories=127.0.0.1:{registry}/all/image",
            "--registry-service=tcp://127.0.0.1:{registry}",
            "--docker-config=file:{logins}",
            *LOGIN,
        ),
        r"^127.0.0.1:\d+/all/image:runtime-cpu-py313-torch0.1.0@sha256:\w{64}\n",
    ),
    "report": (
        (*ONE, "--format=markdown", "--history={history}", "--into={page}"),
        r"^mine\n.*cpu-py3.13-runtime",
    ),
    "size": ((*CELL, "--against={sizes}"), r" MB before, "),
    "verify": ((*CELL, "--image=127.0.0.1:{registry}/one/image:tag"), r"versions"),
    "lint_matrix": ((), r"\w"),
    "lint_locks": ((), r"\w"),
    "latest": ((), r"\w"),
    "bump": (("--format=text",), r"\w"),
    # folders
    "dockerfile": ((*PAIR, "entries"), r"^Dockerfile\n"),
    "generate": (("directory", "--path=dockerfiles", "entries"), r"docker-bake.json"),
    "toolkit": ((*PAIR, "directory", "--path=bin", "entries"), r"nvcc\n"),
    "channel": ((*PAIR, "entries"), r"linux-64"),
    "wheels": ((*PAIR, "file", "--path=report.json", "contents"), r"torch.scatter"),
    "packed": ((*CELL, "exists", "--path=bin/python"), r"^true"),
    "bundle": ((*ONE, "entries"), r"bundle.json"),
    # files
    "pack": ((*CELL, "size"), r"^\d.\d+e\+07"),
    "history": (("--history={history}", "export", "--path={target}/history.jsonl"), r"history.jsonl"),
    # containers
    "build": ((*CELL, *run(f"{PYTHON} -VV")), r"^Python 3\.13"),
    "devel": ((*CPU, *run("conda-pack --version")), r"^conda-pack 0\.9\.2"),
    "runtime": ((*CPU, "user"), r"^1000:1000"),
    "ray_devel": ((*CPU, *run(f"{PYTHON} -VV")), r"^Python 3\.13"),
    "ray_runtime": ((*CPU, "label", "--name=io.cslr-images.ray"), r"^0\.1\.0"),
    "marimo_devel": ((*CPU, "entrypoint"), r""),
    "marimo_runtime": ((*CPU, "default-args"), r"marimo"),
    "conda": ((*CPU, *run(f"{PYTHON} -VV")), r"^Python 3\.13"),
    "torch": ((*CPU, *run(f"{PYTHON} -VV")), r"^Python 3\.13"),
    "pyg": (
        (*CPU, "directory", "--path=/opt/env/lib/python3.13/site-packages/torch_scatter", "entries"),
        r"\.so\n",
    ),
    "ray": ((*CPU, "exists", "--path=/opt/env/lib/python3.13/site-packages/ray"), r"^true"),
    "marimo": ((*CPU, "exists", "--path=/opt/env/bin/marimo"), r"^true"),
    "base": ((*CPU, *run("gcc --version")), r"^gcc"),
    "runtime_base": ((*CPU, *run("id -u")), r"^0"),
    "unpack": ((*CPU, "--packed={tree}", *run(f"{PYTHON} -VV")), r"^Python 3\.13"),
    "strip": (
        (*CPU, "--image=127.0.0.1:{registry}/one/image:tag", "export", "--path={target}/image.tar"),
        r"image\.tar",
    ),
    "debug": (
        (*CPU, "--target=devel", "file", "--path=/run/cslr-images/failed.txt", "contents"),
        r"check train_step failed",
    ),
}
# The locks are of the module's own matrix.
BARE = ("lint_locks",)
# These images promise what stand-ins cannot keep: a command of theirs fails, as debug needs it.
BROKEN = ("debug",)
FROM_BUNDLE = ["--from-bundle={bundle}", "plan", *CELL, "--format=json"]


@dataclass(frozen=True)
class Scene:
    """Files and servers that calls refer to."""

    stand: SmallStack
    broken: SmallStack
    values: dict[str, str]


@pytest.fixture(scope="module")
def scene(small: SmallStack, registry: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Publish an image by Dagger's own `publish`, export a tree and sizes, and listen as a webhook."""
    folder = tmp_path_factory.mktemp("public")
    matrix = small_stack.matrix_with(folder / "matrix.toml", more=PROMISES)
    stand = SmallStack(port=small.port, matrix=matrix, folder=small.folder, mirrors=small.mirrors)
    published = succeed(
        *stand.words(), "build", *CELL, "publish", f"--address=127.0.0.1:{registry}/one/image:tag"
    )
    assert re.fullmatch(rf"127\.0\.0\.1:{registry}/one/image:tag@sha256:\w{{64}}\n?", published)
    succeed(*stand.words(), "packed", *CELL, "export", f"--path={folder / 'tree'}")
    texts = {
        "history": succeed(*stand.words(), "history", "contents"),
        "before": '{"cells": []}',
        "page": "mine\n<!-- cslr-images:begin -->\n<!-- cslr-images:end -->\n",
        "sizes": succeed(*stand.words(), "size", *CELL, "--format=json"),
        "logins": DOCKER_CONFIG,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    files = {name: str(folder / name) for name in (*texts, "tree")}
    (folder / "target").mkdir()
    with webhook() as (port, _):
        hook = {
            "hook": f"tcp://127.0.0.1:{port}",
            "target": str(folder / "target"),
            "registry": str(registry),
        }
        yield Scene(stand, small, {**files, **hook})


def test_every_function_is_called() -> None:
    assert set(CALLS) == {name for name in client_api.describe_module() if name}, (
        "the constructor has no name"
    )


def test_every_option_that_is_an_object_is_given(scene: Scene) -> None:
    kinds = [name for name, one in vars(dagger).items() if inspect.isclass(one) and issubclass(one, Type)]
    objects = {
        option.replace("_", "-")
        for function in client_api.describe_module().values()
        for option, (kind, _, _) in function["takes"].items()
        if any(re.search(rf"\b{name}\b", kind) for name in kinds)
    }
    words = [word for words, _ in CALLS.values() for word in words] + scene.stand.words() + FROM_BUNDLE
    given = {word.removeprefix("--").partition("=")[0] for word in words}
    assert len(objects) > 10
    assert sorted(objects - given) == []


@pytest.mark.parametrize("function", CALLS)
def test_a_function_returns_what_it_says(scene: Scene, function: str) -> None:
    words, pattern = CALLS[function]
    stand = scene.broken if function in BROKEN else scene.stand
    values = scene.values
    hook = values["hook"].rpartition(":")[2]
    called = [function.replace("_", "-"), *(word.format(**values) for word in words)]
    answer = answer_of(
        ROOT / "daggerw",
        *(["call"] if function in BARE else stand.words()),
        *called,
        environment={**os.environ, "HOOK": f"http://mirror:{hook}/hook", "PASSWORD": "word"},
    )
    assert answer.status == 0, answer.err[-4000:]
    assert re.search(pattern, answer.out, re.DOTALL), answer.out[-2000:]


def test_a_bundle_is_taken_as_it_was_exported(scene: Scene) -> None:
    folder = f"{scene.values['target']}/bundle"
    succeed(*scene.stand.words(), "bundle", *ONE, "export", f"--path={folder}")
    printed = succeed(*scene.stand.words(), *(word.format(bundle=folder) for word in FROM_BUNDLE))
    assert '"cpu-py3.13-runtime"' in printed


def test_an_image_opens_in_a_terminal(scene: Scene) -> None:
    words = [str(ROOT / "daggerw"), *scene.stand.words(), "build", *CELL, "terminal", "--cmd=sh"]
    with in_terminal(words, ROOT) as terminal:
        until(terminal, rb"\$ ")
        os.write(terminal, f"{PYTHON} -VV; id -un; echo ended=$?\r".encode())
        screen = until(terminal, rb"ended=0\r")
        assert b"Python 3.13" in screen
        assert b"cslr" in screen
