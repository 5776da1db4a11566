"""Ids that are kept: the engine is asked once, and an object stays what it was."""

import dagger
import pytest
from dagger import dag

from ci.plan.caches import Cache
from ci.sdk.ids import remember_id
from ci.stages.cache_volumes import with_cache
from ci.stages.programs import with_program
from tests.stand_ins.stand_in_engine import Request, StandInEngine, instead_of_an_engine


class CountingEngine(StandInEngine):
    """Keeps the calls of each request for an id."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, ...]] = []

    async def execute(self, request: Request) -> object:
        """Answer a request."""
        names = tuple(one.name for one in request.context.selections)
        if names[-1] == "id":
            self.asked.append(names)
        return await super().execute(request)


async def ids_asked(*, remembered: bool) -> list[tuple[str, ...]]:
    """Return what is asked for while a file goes into three containers."""
    engine = CountingEngine()
    with instead_of_an_engine(engine):
        file = dag.directory().with_new_file("a.txt", "text").file("a.txt")
        if remembered:
            file = remember_id(remember_id(file))
        for name in ("one", "two", "three"):
            await dag.container().from_(name).with_mounted_file("/run/a.txt", file).sync()
    return engine.asked


async def test_the_engine_is_asked_for_an_id_once() -> None:
    asked = ("directory", "withNewFile", "file", "id")
    assert await ids_asked(remembered=True) == [asked]
    # Should a newer client do so by itself, this module has no purpose any more.
    assert await ids_asked(remembered=False) == [asked] * 3


async def test_an_object_stays_what_it_was() -> None:
    engine = StandInEngine()
    with instead_of_an_engine(engine):
        tree = dag.directory().with_new_file("a.txt", "text")
        kept = remember_id(tree)
        assert isinstance(kept, dagger.Directory)
        assert await kept.id() == await tree.id()
        assert type(await kept.id()) is type(await tree.id())
        assert await kept.file("a.txt").contents() == "text"
        assert await dag.directory().with_directory("/", kept).entries() == []


async def test_an_object_that_was_loaded_by_its_id_has_it() -> None:
    engine = CountingEngine()
    with instead_of_an_engine(engine):
        built = await dag.container().from_("debian").sync()
        kept = remember_id(built)
        assert await kept.id() == await built.id()
        assert len(engine.asked) == 1  # for the one that is not kept
        made = remember_id(built.with_env_variable("A", "1"))
        assert await made.id() == await built.with_env_variable("A", "1").id() != await kept.id()
        assert await dag.directory().with_directory("/", kept.rootfs()).entries() == []


@pytest.mark.parametrize(("kind", "mounts"), [("program", 2), ("cache", 1)])
async def test_what_is_mounted_most_keeps_its_id(kind: str, mounts: int) -> None:
    engine = CountingEngine()
    with instead_of_an_engine(engine):
        for name in ("one", "two", "three"):
            container = dag.container().from_(name)
            if kind == "program":
                await with_program(container, "trim_env.py").sync()
            else:
                await with_cache(container, Cache.UV).sync()
    # Fewer if an earlier test of the same process asked already.
    assert len(engine.asked) <= mounts
