"""Pages of indexes, read in one step of a container, where those of earlier calls are kept with their validators."""

import json
from collections.abc import Sequence

from dagger import dag

from ci.index.lookup import IndexQuery, IndexResponse
from ci.plan.caches import Cache
from ci.plan.programs import python_command
from ci.stages.cache_volumes import with_cache
from ci.stages.context import BuildContext
from ci.stages.programs import with_program
from ci.stages.system import base_with_packages
from ci.stages.tools import install_tools

_DEBS = ("ca-certificates", "python3", "python3-venv")
_ASKS, _ANSWERS = "/run/asks.json", "/run/answers.json"


class Reader:
    """Reads what is asked for, anew for each call: `mark` tells one call from another, for answers are cached."""

    def __init__(self, context: BuildContext, image: str, tools: str, cache_buster: str) -> None:
        self._container = install_tools(context, base_with_packages(context, image, _DEBS), tools)
        self._site = context
        self._mark = cache_buster

    async def read(self, asks: Sequence[IndexQuery]) -> dict[IndexQuery, IndexResponse]:
        """Read; what cannot be read is an answer with a problem."""
        listed = json.dumps([ask.model_dump() for ask in asks])
        given = dag.directory().with_new_file("asks.json", listed).file("asks.json")
        container = with_cache(self._site.with_mirror(self._container), Cache.PAGES)
        container = with_program(container, "read_pages.py").with_mounted_file(_ASKS, given)
        container = container.with_env_variable("MARK", self._mark)
        program = python_command("read_pages.py", _ASKS, _ANSWERS)
        done = container.with_exec([*program, "--cache", Cache.PAGES.path])
        found = json.loads(await done.file(_ANSWERS).contents())
        return {
            ask: IndexResponse.model_validate(one, strict=False) for ask, one in zip(asks, found, strict=True)
        }
