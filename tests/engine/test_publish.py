"""Publishing to a real registry that asks for a password, on loopback; and the webhook that hears of failures."""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import ROOT, Answer, SmallStack, dagger
from tests.engine.test_matrix import POISONED, PROMISES
from tests.stand_ins import servers, small_stack
from tests.stand_ins.proxy import Proxy, proxied, webhook

CELL = ("--cuda=cpu", "--python=3.13", "--target=runtime")
STAYS, MOVES = "runtime-cpu-py313-torch0.1.0", "runtime-cpu-py313"
# How those who ask the registry call themselves: the program of the module, and this test; the rest is the engine.
PROGRAM, ITSELF = "cslr-images", "Python-urllib"
LOGIN = (f"--registry-user={servers.USER}", "--registry-password=env:REGISTRY_PASSWORD")


@pytest.fixture
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Run the registry behind a proxy that counts and breaks."""
    with servers.private_registry(tmp_path_factory.mktemp("private")) as port, proxied(port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def promised(small: SmallStack, tmp_path_factory: pytest.TempPathFactory) -> SmallStack:
    """Return the small stack with a matrix whose checks the stand-ins pass."""
    matrix = small_stack.matrix_with(tmp_path_factory.mktemp("promised") / "matrix.toml", more=PROMISES)
    return SmallStack(port=small.port, matrix=matrix, folder=small.folder, mirrors=small.mirrors)


def call(stand: SmallStack, *words: str, **environment: str) -> Answer:
    """Call the module with secrets in the environment."""
    ran = subprocess.run(
        [str(ROOT / "daggerw"), *stand.words(), *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Answer(ran.returncode, ran.stdout, ran.stderr)


def publish(
    stand: SmallStack,
    proxy: Proxy,
    *words: str,
    phrase: str = servers.PASSWORD,
    served: bool = True,
    login: tuple[str, ...] = LOGIN,
) -> Answer:
    """Publish the cell to the private registry, which the module gets as a service unless a test wants it otherwise."""
    where = [f"--repositories=127.0.0.1:{proxy.port}/team/image"]
    where += [f"--registry-service=tcp://127.0.0.1:{proxy.port}"] if served else []
    return call(stand, "publish", *CELL, *where, *login, *words, REGISTRY_PASSWORD=phrase)


def readers(proxy: Proxy, tag: str) -> list[str]:
    """Name the programs that asked where a tag points after it was written last."""
    of_tag = [one for one in proxy.passed if one[1].endswith(f"/manifests/{tag}") and one[2] != 401]
    written = max(place for place, one in enumerate(of_tag) if one[0] == "PUT")
    agents = [agent for _, _, _, agent in of_tag[written + 1 :]]
    return [agent for agent in agents if not agent.startswith(ITSELF)]


def asked(proxy: Proxy, path: str) -> tuple[dict[str, Any], str]:
    """Ask the registry, with the password; gives the answer and its digest."""
    request = urllib.request.Request(f"http://127.0.0.1:{proxy.port}/v2/team/image/{path}")
    login = base64.b64encode(f"{servers.USER}:{servers.PASSWORD}".encode()).decode()
    request.add_header("Authorization", f"Basic {login}")
    request.add_header("Accept", "application/vnd.oci.image.manifest.v1+json")
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - http, on loopback
        return json.load(answer), answer.headers.get("Docker-Content-Digest", "")


def tags(proxy: Proxy) -> list[str]:
    """List the tags of the repository; none where it does not exist."""
    try:
        return sorted(asked(proxy, "tags/list")[0]["tags"] or [])
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return []


def test_an_image_is_published_under_both_tags_and_the_digest_is_read_back(
    promised: SmallStack, private: Proxy
) -> None:
    answer = publish(promised, private)
    assert answer.status == 0, answer.err[-4000:]
    assert tags(private) == sorted([STAYS, MOVES])
    manifest, digest = asked(private, f"manifests/{STAYS}")
    assert asked(private, f"manifests/{MOVES}")[1] == digest
    assert readers(private, STAYS) == readers(private, MOVES) == [PROGRAM]
    repository = f"127.0.0.1:{private.port}/team/image"
    assert answer.out.split() == [f"{repository}:{tag}@{digest}" for tag in (STAYS, MOVES)]
    assert all(layer["mediaType"].endswith("+zstd") for layer in manifest["layers"])
    assert servers.PASSWORD not in answer.out + answer.err


def test_a_wrong_password_is_told_and_leaves_nothing_behind(promised: SmallStack, private: Proxy) -> None:
    answer = publish(promised, private, phrase="wrong")
    assert answer.status != 0
    assert "cpu-py3.13-runtime: registry at publish" in answer.err
    assert "Traceback" not in answer.err
    assert tags(private) == []


def test_an_interrupted_publish_goes_on_where_it_ended(promised: SmallStack, private: Proxy) -> None:
    sent = 0

    def second_blob_breaks(method: str, path: str) -> int:
        nonlocal sent
        if method == "PUT" and "/blobs/" in path:
            sent += 1
            return 500 if sent > 1 else 0
        return 500 if method == "PUT" and "/manifests/" in path else 0

    private.fault = second_blob_breaks
    broken = publish(promised, private)
    assert broken.status != 0
    assert tags(private) == []
    assert private.count("PUT", "/blobs/") == 1
    private.fault = lambda *_: 0
    again = publish(promised, private)
    assert again.status == 0, again.err[-4000:]
    # Layers and the configuration, each sent once over both calls.
    layers = asked(private, f"manifests/{STAYS}")[0]["layers"]
    assert private.count("PUT", "/blobs/") == len(layers) + 1


def test_a_tag_that_still_names_another_image_is_noticed(promised: SmallStack, private: Proxy) -> None:
    assert publish(promised, private).status == 0
    before = asked(private, f"manifests/{MOVES}")[1]
    # A registry that says yes and keeps the old tag; with gzip the same image has another digest.
    private.fault = lambda method, path: (
        201 if method == "PUT" and path.endswith(f"/manifests/{MOVES}") else 0
    )
    answer = publish(promised, private, "--compression=gzip")
    assert answer.status != 0
    assert "cpu-py3.13-runtime: registry at publish" in answer.err
    assert f"the registry has {before}" in answer.err
    assert "dagger.lock" not in answer.err
    assert readers(private, MOVES) == [PROGRAM]
    private.fault = lambda *_: 0
    again = publish(promised, private, "--compression=gzip")
    assert again.status == 0, again.err[-4000:]
    assert asked(private, f"manifests/{MOVES}")[1] == asked(private, f"manifests/{STAYS}")[1] != before


def test_where_the_engine_believes_that_a_tag_points_does_not_decide(
    promised: SmallStack, private: Proxy, tmp_path: Path
) -> None:
    assert publish(promised, private).status == 0
    before = asked(private, f"manifests/{MOVES}")[1]
    # Dagger 1.0 reads back what it once wrote to dagger.lock; here the same is done to an engine that asks.
    private.lead = lambda method, path, agent: (
        path.replace(MOVES, before)
        if method in ("GET", "HEAD")
        and path.endswith(f"/manifests/{MOVES}")
        and not agent.startswith((PROGRAM, ITSELF))
        else path
    )
    config = tmp_path / "config.json"
    auth = base64.b64encode(f"{servers.USER}:{servers.PASSWORD}".encode()).decode()
    config.write_text(json.dumps({"auths": {f"http://127.0.0.1:{private.port}/v2/": {"auth": auth}}}))
    answer = publish(promised, private, "--compression=gzip", login=(f"--docker-config=file:{config}",))
    assert answer.status == 0, answer.err[-4000:]
    assert servers.PASSWORD not in answer.out + answer.err
    assert asked(private, f"manifests/{MOVES}")[1] != before
    alone = publish(promised, private, "--compression=gzip", served=False)
    assert alone.status != 0
    assert f"the registry has {before}; on Dagger 1.0 a line in dagger.lock may be the reason" in alone.err
    assert "--registry-service" in alone.err


def test_nothing_is_tagged_that_does_not_keep_its_promises(
    small: SmallStack, private: Proxy, tmp_path: Path
) -> None:
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES, marimo=small_stack.POISONED)
    stand = SmallStack(port=small.port, matrix=matrix, folder=small.folder, mirrors=small.mirrors)
    where = f"--repositories=127.0.0.1:{private.port}/team/image"
    cells = ("--only=cpu-py3.13-marimo-*", "--disk-floor=1")
    with webhook() as (port, posted):
        hook = ("--webhook=env:HOOK", f"--webhook-service=tcp://127.0.0.1:{port}")
        answer = call(
            stand,
            "matrix",
            *cells,
            "--publish",
            where,
            *LOGIN,
            *hook,
            REGISTRY_PASSWORD=servers.PASSWORD,
            HOOK=f"http://mirror:{port}/hook",
        )
    assert answer.status != 0
    assert tags(private) == [
        "marimo-devel-cpu-py313",
        "marimo-devel-cpu-py313-torch0.1.0-ray0.1.0-marimo0.1.66",
    ]
    (text,) = [json.loads(data)["text"] for data in posted]
    assert text.splitlines()[0] == "1 of 2 cells failed"
    assert text.splitlines()[1].startswith("FAILED cpu-py3.13-marimo-runtime: verification at verify: ")
    assert POISONED.replace("cu12.8.1", "cpu") in text


def test_a_webhook_that_fails_fails_nothing_and_recovery_is_told(
    small: SmallStack, promised: SmallStack, tmp_path: Path
) -> None:
    cells = ("--only=cpu-py3.13-marimo-*", "--disk-floor=1")
    matrix = small_stack.matrix_with(tmp_path / "matrix.toml", more=PROMISES, marimo=small_stack.POISONED)
    stand = SmallStack(port=small.port, matrix=matrix, folder=small.folder, mirrors=small.mirrors)
    assert "1 ok, 1 failed, 0 not run" in call(stand, "matrix", *cells).err
    with webhook(status=500) as (port, posted):
        hook = ("--webhook=env:HOOK", f"--webhook-service=tcp://127.0.0.1:{port}")
        answer = call(promised, "matrix", *cells, *hook, HOOK=f"http://mirror:{port}/hook")
    assert answer.status == 0, answer.err[-4000:]
    assert [json.loads(data)["text"] for data in posted] == ["works again: cpu-py3.13-marimo-runtime"]
    assert "webhook: not told (HTTPError: 500)" in answer.out


def test_a_login_needs_both_halves(promised: SmallStack) -> None:
    answer = dagger(*promised.words(), "publish", *CELL, "--registry-user=me")
    assert answer.status != 0
    assert answer.error.endswith("a registry login needs both --registry-user and --registry-password")
