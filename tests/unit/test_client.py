"""What Dagger's client does less often: it gives the same answers, and asks the engine for an id once."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import dagger
import pytest
from dagger import dag

import ci
from ci import client


@dataclass
class Call:
    """One call of a chain, as the client has it."""

    type_name: str
    name: str
    args: dict[str, Any] = field(default_factory=dict)


class Chain:
    """A chain of calls whose execution is counted, and answers with a number that no other has."""

    asked = 0

    def __init__(self, *selections: Call) -> None:
        self.selections = deque(selections)

    async def execute(self, return_type: type[str] | None = None) -> str | None:
        Chain.asked += 1
        return return_type(f"answer {Chain.asked}") if return_type else None


client.remember_ids(Chain)
ID = Call("File", "id")


async def asked(*chains: Chain) -> tuple[list[str | None], int]:
    before = Chain.asked
    answers = [await chain.execute(str) for chain in chains]
    return answers, Chain.asked - before


async def test_an_object_is_asked_for_its_id_once() -> None:
    folder, file = Call("Query", "directory"), Call("Directory", "file", {"path": "a"})
    answers, count = await asked(Chain(folder, file, ID), Chain(folder, file, ID))
    assert count == 1
    assert answers[0] == answers[1]


async def test_objects_that_are_made_alike_are_not_taken_for_one() -> None:
    answers, count = await asked(*(Chain(Call("Directory", "file", {"path": "a"}), ID) for _ in range(2)))
    assert count == len(set(answers)) == 2


async def test_an_object_that_was_loaded_by_its_id_is_not_asked() -> None:
    loaded = Call("Query", "loadFileFromID", {"id": "xyz"})
    assert await asked(Chain(loaded, ID)) == (["xyz"], 0)
    # The id of another object that it leads to is not its own.
    assert (await asked(Chain(loaded, Call("File", "parent"), Call("Directory", "id"))))[1] == 1


async def test_everything_else_is_asked_each_time() -> None:
    contents = Chain(Call("Directory", "file"), Call("File", "contents"))
    assert (await asked(contents, contents))[1] == 2


async def test_an_id_that_could_not_be_had_is_asked_for_again() -> None:
    answers: list[str | None] = [None, "id", "another"]

    class Flaky:
        selections = (Call("Directory", "file"), ID)

        async def execute(self, _: type[str] | None = None) -> str:
            if answer := answers.pop(0):
                return answer
            raise OSError("gone")

    client.remember_ids(Flaky)
    with pytest.raises(OSError, match="gone"):
        await Flaky().execute(str)
    assert [await Flaky().execute(str) for _ in range(2)] == ["id", "id"]


def test_the_client_that_is_installed_is_known_and_made_lighter() -> None:
    assert client.known()
    assert ci.__doc__, "which makes it so when it is loaded"
    context: Any = dag.container().from_("debian")._ctx
    assert context.converter.unstructure({"a": dagger.CacheSharingMode.LOCKED}) == {"a": "LOCKED"}
    assert context.converter.structure("x", dagger.FileID) == "x"
    assert context.converter.structure(["x", "y"], list[str]) == ["x", "y"]
    variable = context.converter.structure({"id": "i"}, dagger.EnvVariable)
    assert variable._ctx is context, "an object of the API belongs to the chain that it came from"
