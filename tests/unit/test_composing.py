"""Every public function, called with the client's run-time checks; a stand-in answers for the engine.

Calls are made as the SDK makes them: arguments and results are JSON, objects are ids. tests/engine covers what the
stand-in cannot answer as an engine would: the output and failures of commands, the contents of indexes, the answers
of registries. tests/newest runs this file under the newest client too.
"""

import json
from collections import Counter
from typing import Any

import dagger
import pytest
from dagger import dag
from dagger.client import _core
from dagger.mod._converter import make_converter

import ci
from ci.config.locks import read_locks
from ci.config.matrix import default_matrix, default_text
from ci.config.sources import read_sources
from ci.index.lookup import IndexQuery
from ci.plan.bundle_inputs import list_plan_inputs
from ci.plan.code_digests import digest_code, read_code
from ci.plan.externals import image_input
from ci.plan.inputs import PlanInputs
from ci.plan.planner import plan_cell
from ci.programs.make_bundle import Entry, Manifest
from ci.report.markdown import BEGIN, END
from ci.sdk.compat import FunctionError
from tests.stand_ins.stand_in_engine import StandInEngine, instead_of_an_engine
from tests.unit.fake_indexes import FakeIndexes
from tests.unit.sample_histories import record

MODULE: Any = ci.CslrImages
MATRIX = default_matrix()
CELL = next(cell for cell in MATRIX.cells if cell.cuda != "cpu" and cell.target == "ray-runtime")
PAIR = {"cuda": CELL.cuda, "python": CELL.python}
ONE = {**PAIR, "target": CELL.target}
PAIR_LISTS = {"cuda": [CELL.cuda], "python": [CELL.python]}
SEVERAL = {
    "cuda": [CELL.cuda],
    "python": [CELL.python],
    "target": [CELL.target],
    "phase": [pair.phases.runtime for pair in MATRIX.pairs if pair.phases],
    "only": ["*"],
}
LOGIN = json.dumps({"auths": {"registry.example": {"auth": "bWU6c2VjcmV0"}}})
ENGINE = StandInEngine()
HISTORY = ENGINE.file("history.jsonl", record(CELL.id).line())
PUBLISHED = {
    "repositories": ["registry.example/image"],
    "registry_user": "me",
    "registry_password": ENGINE.secret("secret"),
    "docker_config": ENGINE.secret(LOGIN),
    "registry_service": ENGINE.service(),
    "compression": "gzip",
}
IMAGE = ENGINE.container("registry.example/image:tag")

# The arguments of each function; `before` is replaced by an earlier output of `plan` or `size`.
CALLS: dict[str, dict[str, Any]] = {
    "cells": SEVERAL,
    "plan": {**SEVERAL, "changed_since": "before", "format": "json", "history": HISTORY},
    "variants": {},
    "dockerfile": PAIR,
    "generate": {},
    "build": ONE,
    **dict.fromkeys(("devel", "runtime", "ray_devel", "ray_runtime", "marimo_devel", "marimo_runtime"), PAIR),
    **dict.fromkeys(("toolkit", "channel", "base", "conda", "torch", "wheels", "pyg", "ray", "marimo"), PAIR),
    "runtime_base": PAIR,
    "pack": ONE,
    "packed": ONE,
    "unpack": {**PAIR, "packed": ENGINE.directory({"bin/python": ""})},
    "strip": {**PAIR, "image": IMAGE},
    "matrix": {
        **SEVERAL,
        **PUBLISHED,
        "changed_since": "before",
        "limit": 2,
        "disk_floor": 1.0,
        "fail_fast": True,
        "verify": "once",
        "history": HISTORY,
        "publish": True,
        "webhook": ENGINE.secret("none://mirror/"),
        "webhook_service": ENGINE.service(),
    },
    "publish": {**ONE, **PUBLISHED},
    "bundle": SEVERAL,
    "debug": ONE,
    "history": {"history": HISTORY},
    "report": {
        **SEVERAL,
        "format": "markdown",
        "history": HISTORY,
        "into": ENGINE.file("page.md", f"{BEGIN}\n{END}\n"),
    },
    "size": {**ONE, "format": "json", "against": "before"},
    "verify": {**ONE, "image": IMAGE},
    "lint_matrix": {},
    "lint_locks": {},
    "latest": {"format": "json"},
    "bump": {"to": [], "format": "text"},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "own": {
        "sources": "registries",
        "mirrors": ENGINE.file("mirrors.toml", '[wheels]\nindex = "http://mirror:8080/simple"\n'),
        "mirror_service": ENGINE.service(),
        "matrix_file": ENGINE.file("matrix.toml", default_text()),
        "archs": "8.0",
        "jobs": 2,
    },
}


def bundle() -> str:
    """Return the id of a bundle that has all that a cell needs."""
    name = "registries"
    sources = read_sources(name)
    inputs = PlanInputs(
        matrix=MATRIX, sources_name=name, sources=sources, locks=read_locks(), code=digest_code(read_code())
    )
    externals = (image_input(sources.images.cpu), *list_plan_inputs(plan_cell(CELL, inputs, {})))
    folders = tuple(dict.fromkeys(external.bundle_path for external in externals))
    files = tuple(Entry(f"{folder}/file", "0" * 64, 1) for folder in folders)
    return ENGINE.directory({"bundle.json": Manifest(name, (CELL.id,), folders, files).text()})


async def call(name: str, given: dict[str, Any], options: dict[str, Any]) -> Any:
    """Call a function as the SDK does, and return the result that the engine would get."""
    module = MODULE.__dagger_module__
    with instead_of_an_engine(ENGINE):
        images = await module.get_result("CslrImages", {}, "", options)
        return await module.get_result("CslrImages", images, name, given)


async def arguments(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a function, `before` replaced: by plans for other architectures, or by sizes."""
    given = dict(CALLS[name])
    if "changed_since" in given:
        text = await call("plan", {**SEVERAL, "format": "json"}, {**options, "archs": "9.0"})
        given["changed_since"] = ENGINE.file("before.json", text)
    if "against" in given:
        given["against"] = ENGINE.file("before.json", await call("size", {**ONE, "format": "json"}, options))
    return given


def functions() -> dict[str, Any]:
    """Return the functions of the module as the SDK has them, without the constructor."""
    found = MODULE.__dagger_module__.get_object("CslrImages").functions
    return {name: function for name, function in found.items() if name}


def test_every_function_is_called_with_every_argument() -> None:
    assert {name: set(given) for name, given in CALLS.items()} == {
        name: set(function.parameters) for name, function in functions().items()
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    # The upstream sources make no channel, and `debug` returns nothing if nothing fails.
    [
        (name, kind)
        for name in CALLS
        for kind in OPTIONS
        if name != "debug" and (name, kind) != ("channel", "plain")
    ],
)
async def test_a_function_works(name: str, kind: str) -> None:
    options = OPTIONS[kind]
    given = await call(name, await arguments(name, options), options)
    if functions()[name].return_type in (dagger.Container, dagger.Directory, dagger.File):
        assert ENGINE.knows(given), "the id of its result"
    else:
        assert given


@pytest.mark.parametrize("name", ["build", "channel", "conda", "toolkit", "wheels", "pack", "size", "verify"])
async def test_a_function_works_with_a_bundle(name: str) -> None:
    options = {"sources": "registries", "from_bundle": bundle()}
    assert await call(name, await arguments(name, options), options)


@pytest.mark.parametrize("failing", ["make_env.py", "checks/imports.py"])
async def test_debug_returns_the_container_before_a_failing_command(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ENGINE, "failing", (failing,))
    assert ENGINE.knows(await call("debug", ONE, OPTIONS["own"]))


@pytest.mark.parametrize(
    ("name", "failing"),
    [("matrix", "checks/imports.py"), ("matrix", "make_env.py"), ("publish", "checks/imports.py")],
)
async def test_a_failing_cell_is_reported(name: str, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = await arguments(name, OPTIONS["own"])
    monkeypatch.setattr(ENGINE, "failing", (failing,))
    with pytest.raises(FunctionError, match="imports" if "imports" in failing else "conda") as raised:
        await call(name, given, OPTIONS["own"])
    if name == "matrix":
        assert "webhook: not told (the webhook is no http or https address)" in str(raised.value)


async def sweep_two_images(**more: Any) -> str:
    """Sweep a runtime image, and the one with Ray on top of it."""
    given = {**PAIR_LISTS, "target": ["runtime", "ray-runtime"], "disk_floor": 1.0, **more}
    return str(await call("matrix", given, OPTIONS["own"]))


async def test_a_check_counts_from_the_image_below_and_the_report_says_so() -> None:
    assert (
        f"\n{CELL.id}: 14 of 17 checks passed in {CELL.pair_id}-runtime: imports, "
        in await sweep_two_images()
    )


@pytest.mark.parametrize("mode", ["all", "none"])
async def test_every_check_runs_in_every_image_or_none_does(mode: str) -> None:
    ENGINE.ended.clear()
    text = await sweep_two_images(verify=mode)
    assert " passed in " not in text
    counts = Counter(title for title, _ in ENGINE.ended)
    assert counts == ({CELL.id: 17, f"{CELL.pair_id}-runtime": 16} if mode == "all" else {})
    assert text.count("! warning") == (0 if mode == "all" else 2)


async def test_above_a_layer_that_changes_files_every_check_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ENGINE, "changes", ["replaces bin/python"])
    monkeypatch.setattr(ENGINE, "ended", [])
    assert " passed in " not in await sweep_two_images()
    assert len(ENGINE.ended) == 16 + 17


@pytest.mark.parametrize(
    ("more", "message"),
    [({"verify": "al"}, "did you mean 'all'"), ({"verify": "none", "publish": True}, "--verify none")],
)
async def test_a_wrong_choice_of_checks_is_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(FunctionError, match=message):
        await sweep_two_images(**more)


async def test_a_tag_is_read_through_the_engine_if_the_registry_cannot_be_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ENGINE, "failing", ("read_tag.py",))
    assert await call("publish", await arguments("publish", {}), {})


async def test_new_versions_are_found_in_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    indexes = FakeIndexes()
    monkeypatch.setattr(
        ENGINE, "indexes", lambda ask: indexes.answer(IndexQuery.model_validate(ask)).model_dump()
    )
    assert "ray" in await call("latest", {}, OPTIONS["own"])
    assert MATRIX.ray.version in await call(
        "bump", {"to": [f"ray={MATRIX.ray.version}"], "format": "toml"}, {}
    )


# -- what Dagger's log shows of the calls --------------------------------------------------------------------

LONGEST = 300  # characters


def written(value: Any) -> str:
    """Return an argument as Dagger's log writes it; objects are shown by the calls that made them, which are others."""
    if isinstance(value, list | tuple):
        return " ".join(map(written, value))
    text = str(value)
    return "" if ENGINE.knows(text) else json.dumps(text)


@pytest.mark.parametrize("variant", ["default", "uv"])
@pytest.mark.parametrize("target", ["devel", "marimo-runtime"])
@pytest.mark.parametrize("sources", ["upstream", "registries"])
@pytest.mark.parametrize("name", ["build", "matrix", "verify", "debug", "dockerfile", "generate"])
async def test_no_call_has_a_long_argument(
    name: str, sources: str, target: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ENGINE, "calls", [])
    if variant == "uv" and name in ("dockerfile", "generate"):
        pytest.skip("Dockerfiles are for variants with conda")
    given: dict[str, Any] = {**PAIR, "target": target} if name in ("build", "verify", "debug") else dict(PAIR)
    if name == "matrix":
        given = {"cuda": [CELL.cuda], "python": [CELL.python], "target": [target], "history": HISTORY}
    if name == "debug":
        monkeypatch.setattr(ENGINE, "failing", ("checks/imports.py",))
    await call(name, {} if name == "generate" else given, {"sources": sources, "variant": variant})
    assert len(ENGINE.calls) > (1 if name in ("dockerfile", "generate") else 50)
    shown = {f"{one.name} {' '.join(map(written, one.given.values()))}" for one in ENGINE.calls}
    assert [text for text in sorted(shown) if len(text) > LONGEST] == []


# -- refusals of the client ----------------------------------------------------------------------------------


async def test_a_synced_object_has_an_id_of_its_type() -> None:
    with instead_of_an_engine(ENGINE):
        assert ENGINE.knows(await (await dag.container().from_("debian").sync()).id())


async def test_an_argument_has_an_id_of_its_type() -> None:
    converter: Any = make_converter
    with instead_of_an_engine(ENGINE):
        assert ENGINE.knows(await converter().structure(HISTORY, dagger.File).id())


@pytest.mark.parametrize(("name", "kind"), [("dockerfile", "plain"), ("cells", "own")])
async def test_an_id_of_another_type_is_refused(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrap the client's query as an earlier version of the module did: it returned text as the id."""
    inside: Any = _core.Context
    ask = inside.execute

    async def execute(context: Any, return_type: Any = None) -> Any:
        found = await ask(context, return_type)
        if context.selections[-1].name != "id":
            return found
        return str(found) if type(found) is not str else found.encode()  # an id is a text in newer clients

    monkeypatch.setattr(inside, "execute", execute)
    with pytest.raises(Exception, match="violates type hint"):
        await call(name, CALLS[name], OPTIONS[kind])
