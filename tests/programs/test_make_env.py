"""make_env.py: real environments from the channel made here, over file:// and http."""

import functools
import http.server
import json
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Works = Callable[[Path], None]

DEAD = "http://127.0.0.1:9/channel"  # nobody listens there


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def server(channel: Path) -> Iterator[str]:
    with serve(channel) as url:
        yield url


def records(prefix: Path) -> dict[str, dict[str, Any]]:
    loaded = [json.loads(p.read_text()) for p in sorted((prefix / "conda-meta").glob("*.json"))]
    return {r["name"]: r for r in loaded}


@pytest.mark.parametrize(
    ("problem", "pauses"),
    [
        ("HTTP status server error (503 Service Unavailable)", [2, 4]),
        ("error sending request for url", [2, 4]),
        ("operation timed out", [2, 4]),
        ("HTTP status client error (404 Not Found)", []),
        ("hash mismatch: expected aa, got bb", []),
        ("HTTP status client error (401 Unauthorized)", []),
    ],
)
async def test_only_failures_that_may_pass_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, problem: str, pauses: list[int]
) -> None:
    make_env = pytest.importorskip("make_env")
    tries, waited = 0, []

    async def wait(seconds: int) -> None:
        waited.append(seconds)

    async def action() -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError(problem)

    monkeypatch.setattr(make_env, "asyncio", SimpleNamespace(sleep=wait))
    with pytest.raises(make_env.UserError, match=r"^the channel: "):
        await make_env.patiently("the channel", action)
    assert (tries, waited) == (len(pauses) + 1, pauses)


async def test_what_succeeds_at_last_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    make_env = pytest.importorskip("make_env")
    left = ["connection reset", "connection reset"]

    async def wait(_: int) -> None:
        pass

    async def action() -> str:
        if left:
            raise RuntimeError(left.pop())
        return "done"

    monkeypatch.setattr(make_env, "asyncio", SimpleNamespace(sleep=wait))
    assert await make_env.patiently("the channel", action) == "done"


@pytest.mark.parametrize("version", ["3.13", "3.14"])
def test_an_environment_works(run: Run, works: Works, channel: Path, short: Path, version: str) -> None:
    prefix = short / "env"
    run("make_env.py", "create", "--prefix", prefix, "--channel", channel, "--pkgs-cache", short / "pkgs",
        "--glibc", "2.36", "--cuda", "12.8", "--spec", f"python={version}.*", "pip")  # fmt: skip
    works(prefix)
    made = records(prefix)
    assert made["python"]["version"].startswith(version)
    assert made["python"]["requested_specs"]
    assert Path(made["python"]["link"]["source"]).is_absolute()
    history = (prefix / "conda-meta/history").read_text()
    assert history.startswith("==> 2023-11-14 22:13:20 <==\n")
    assert f"+python-{version}" in history
    assert "python-" in (prefix / "conda-meta/lock").read_text()


def test_install_keeps_what_is_there(run: Run, channel: Path, short: Path) -> None:
    common = ("--prefix", short / "env", "--pkgs-cache", short / "pkgs")
    run("make_env.py", "create", *common, "--channel", channel, "python=3.13.*")
    before = records(short / "env")
    done = run("make_env.py", "install", *common, "pip")  # the channel is remembered
    assert "+ pip-" in done.stdout
    assert "- " not in done.stdout
    after = records(short / "env")
    assert {n: after[n]["build"] for n in before} == {n: before[n]["build"] for n in before}
    assert after["python"]["requested_specs"]
    assert (short / "env/conda-meta/history").read_text().count("==>") == 2

    refused = run("make_env.py", "install", *common, "python=3.14.*", ok=False)
    assert "--update lets it move" in refused.stderr
    assert records(short / "env").keys() == after.keys()
    run("make_env.py", "install", *common, "--update", "python=3.14.*")
    assert records(short / "env")["python"]["version"].startswith("3.14")
    subprocess.run([short / "env/bin/python", "-m", "pip", "--version"], check=True, capture_output=True)

    listed = json.loads(run("make_env.py", "list", "--prefix", short / "env", "--json").stdout)
    assert {r["name"] for r in listed} == set(records(short / "env"))
    assert "nothing to change" in run("make_env.py", "install", *common, "pip").stdout


def test_mirror_and_lock(run: Run, server: str, short: Path) -> None:
    """Locks hold the public address; the bytes come from the mirror, and then from the cache alone."""
    lock = short / "env.lock"
    mirror = ("--mirror", f"{DEAD}={server}")
    run("make_env.py", "create", "--prefix", short / "a", "--channel", DEAD, "--pkgs-cache", short / "pkgs", *mirror,
        "--lock", lock, "--glibc", "2.36", "python=3.13.*")  # fmt: skip
    assert server not in lock.read_text()
    assert DEAD in lock.read_text()
    assert records(short / "a")["python"]["url"].startswith(DEAD)

    done = run(
        "make_env.py", "create", "--prefix", short / "b", "--pkgs-cache", short / "pkgs", "--lock", lock
    )
    assert "(locked)" in done.stdout
    assert records(short / "a").keys() == records(short / "b").keys()
    run(
        "make_env.py",
        "create",
        "--prefix",
        short / "c",
        "--pkgs-cache",
        short / "other",
        "--lock",
        lock,
        *mirror,
    )

    unmet = run("make_env.py", "create", "--prefix", short / "d", "--lock", lock, "python=3.14.*", ok=False)
    assert "holds nothing for python=3.14.*" in unmet.stderr
    refused = run(
        "make_env.py",
        "create",
        "--prefix",
        short / "d",
        "--lock",
        lock,
        "--mirror",
        f"{DEAD}=file:///x",
        ok=False,
    )
    assert "http.server" in refused.stderr


def test_a_changed_package_is_refused(run: Run, channel: Path, short: Path) -> None:
    copy = short / "channel"
    shutil.copytree(channel, copy)
    victim = next(copy.glob("linux-64/libffi-*.conda"))
    with zipfile.ZipFile(victim, "a") as archive:
        archive.writestr("more", "bytes")
    common = ("--prefix", short / "env", "--pkgs-cache", short / "pkgs")
    done = run("make_env.py", "create", *common, "--channel", copy, "python=3.13.*", ok=False)
    assert f"{victim.name} is not what its channel" in done.stderr
    with serve(copy) as url:
        done = run("make_env.py", "create", *common, "--channel", url, "python=3.13.*", ok=False)
    assert "libffi" in done.stderr
    assert "hash" in done.stderr


def test_first_channel_has_priority(run: Run, channel: Path, short: Path) -> None:
    """Strict priority: the first channel's older package beats the second's newer one."""
    wheel = short / "wheels/packaging-24.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("packaging/__init__.py", "")
        archive.writestr(
            "packaging-24.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: packaging\nVersion: 24.0\n"
        )
        archive.writestr("packaging-24.0.dist-info/RECORD", "packaging/__init__.py,,\n")
    digest = subprocess.run(["sha256sum", wheel], check=True, capture_output=True, text=True).stdout.split()[
        0
    ]
    recipe = short / "recipe.json"
    recipe.write_text(json.dumps({"wheels": [{"name": "packaging", "version": "24.0", "sha256": digest}]}))
    run("make_channel.py", "build", short / "first", "--recipe", recipe, "--wheels", wheel.parent)
    for order, expected in (((short / "first", channel), "24.0"), ((channel, short / "first"), "26")):
        prefix = short / f"env{expected}"
        run("make_env.py", "create", "--prefix", prefix, "--channel", *order, "--pkgs-cache", short / "pkgs",
            "--spec", "python=3.13.*", "packaging")  # fmt: skip
        assert records(prefix)["packaging"]["version"].startswith(expected)


def test_fill_cache(run: Run, channel: Path, short: Path) -> None:
    common = ("--prefix", short / "env")
    run(
        "make_env.py",
        "create",
        *common,
        "--channel",
        channel,
        "--pkgs-cache",
        short / "old",
        "python=3.13.*",
        "pip",
    )
    assert "0 of" in run("make_env.py", "fill-cache", *common, "--pkgs-cache", short / "old").stdout
    before = records(short / "env")
    shutil.rmtree(short / "old")
    run("make_env.py", "fill-cache", *common, "--pkgs-cache", short / "new")
    after = records(short / "env")
    for name, record in after.items():
        source = Path(record["link"]["source"])
        assert source.is_relative_to(short / "new"), name
        assert (source / "info/paths.json").exists()
        changed = {k for k in record if record[k] != before[name].get(k)}
        assert changed <= {"link", "extracted_package_dir"}, name
    assert not list((short / "new").glob(".fill-*"))

    # a noarch package alone needs its Python to be linked with; a channel that moved is named anew
    moved = short / "moved"
    shutil.copytree(channel, moved)
    for path in (short / "env/conda-meta").glob("*.json"):
        path.write_text(path.read_text().replace(str(channel), "/no/longer/there"))
    shutil.rmtree(records(short / "env")["pip"]["link"]["source"])
    lost = run("make_env.py", "fill-cache", *common, "--pkgs-cache", short / "new", ok=False)
    assert "/no/longer/there" in lost.stderr
    filled = run("make_env.py", "fill-cache", *common, "--pkgs-cache", short / "new", "--channel", moved)
    assert filled.stdout.count("1 of") == 1


def test_errors_are_one_line(run: Run, channel: Path, short: Path) -> None:
    def error(*args: object) -> str:
        return run("make_env.py", *args, "--pkgs-cache", short / "pkgs", ok=False).stderr

    assert "is not absolute" in error("create", "--prefix", "env", "--channel", channel, "python")
    assert "no --prefix" in error("create", "--channel", channel, "python")
    assert "no such folder" in error("create", "--prefix", short / "e", "--channel", "/no/such", "python")
    assert "not a conda environment" in error("install", "--prefix", short, "python")
    assert "needs a --channel" in error("create", "--prefix", short / "e")
    assert "cannot read the spec" in error(
        "create", "--prefix", short / "e", "--channel", channel, "python[[3"
    )
    old = error("create", "--prefix", short / "e", "--channel", channel, "--glibc", "2.17", "python")
    assert "__glibc >=2.35" in old
    assert "nosuch" in error("create", "--prefix", short / "e", "--channel", channel, "nosuch")
    assert not (short / "e").exists()
