"""The client that does less for each query converts what it converted before."""

from typing import Any

import gql
import pytest
from dagger import CacheSharingMode, dag
from dagger.client import _core

from ci.sdk import light
from tests.stand_ins.stand_in_engine import StandInEngine, instead_of_an_engine


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Lighten the client for a test, and return the chains for which a converter is made."""
    made: list[Any] = []
    make = light._make_converter

    def count(context: Any) -> Any:
        made.append(context)
        return make(context)

    client: Any = _core
    monkeypatch.setattr(client, "make_converter", client.make_converter)
    monkeypatch.setattr(gql.Client, "validate", gql.Client.validate)
    light.lighten_client.cache_clear()
    light.lighten_client()
    light._argument_converter()
    monkeypatch.setattr(light, "_make_converter", count)
    return made


async def test_a_converter_is_made_for_an_answer_only(made: list[Any]) -> None:
    with instead_of_an_engine(StandInEngine()):
        container = dag.container().from_("debian")
        for number in range(5):
            container = container.with_env_variable("A", str(number))
        assert made == []
        assert await container.stdout() == "a line\n"
    assert len(made) == 1


@pytest.mark.usefixtures("made")
async def test_arguments_are_what_they_were() -> None:
    engine = StandInEngine()
    with instead_of_an_engine(engine):
        volume, file = dag.cache_volume("a"), dag.directory().with_new_file("a.txt", "text").file("a.txt")
        container = dag.container().with_mounted_cache("/a", volume, sharing=CacheSharingMode.LOCKED)
        await container.with_mounted_file("/b", file).with_exec(["true"]).sync()
    given = {call.name: call.given for call in engine.calls}
    assert given["withMountedCache"]["sharing"] == "LOCKED"
    assert engine.knows(given["withMountedCache"]["cache"])
    assert engine.knows(given["withMountedFile"]["source"])
    assert given["withExec"] == {"args": ["true"]}  # what has its default is left out


@pytest.mark.usefixtures("made")
async def test_an_answer_may_hold_objects() -> None:
    with instead_of_an_engine(StandInEngine()):
        variables = await dag.container().from_("debian").env_variables()
        assert [await one.value() for one in variables] == ["a value"]


@pytest.mark.usefixtures("made")
def test_a_query_is_not_checked_before_the_engine_checks_it() -> None:
    client = gql.Client(schema="type Query { version: String }")
    client.validate(gql.gql("{ nothing }"))
