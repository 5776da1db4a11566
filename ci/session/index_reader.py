"""Read pages of package indexes in a container, which caches them with their validators."""

import json
from collections.abc import Sequence

from ci.index.lookup import IndexQuery, IndexResponse
from ci.plan.caches import Cache
from ci.plan.programs import python_command
from ci.stages.cache_volumes import with_cache
from ci.stages.context import BuildContext
from ci.stages.programs import with_program
from ci.stages.system import make_base_with_packages
from ci.stages.texts import make_text_file
from ci.stages.tools import install_tools

_DEBS = ("ca-certificates", "python3", "python3-venv")
_QUERIES, _RESPONSES = "/run/asks.json", "/run/answers.json"


class IndexReader:
    """Read index pages; a new `cache_buster` for each call makes Dagger run the step again."""

    def __init__(self, context: BuildContext, image: str, tools: str, cache_buster: str) -> None:
        self._container = install_tools(context, make_base_with_packages(context, image, _DEBS), tools)
        self._context = context
        self._cache_buster = cache_buster

    async def read(self, queries: Sequence[IndexQuery]) -> dict[IndexQuery, IndexResponse]:
        """Read the responses to some queries; one that cannot be read is a response with a problem."""
        text = json.dumps([query.model_dump() for query in queries])
        file = make_text_file("asks.json", text)
        container = with_cache(self._context.with_mirror(self._container), Cache.PAGES)
        container = with_program(container, "read_indexes.py").with_mounted_file(_QUERIES, file)
        container = container.with_env_variable("MARK", self._cache_buster)
        program = python_command("read_indexes.py", _QUERIES, _RESPONSES)
        step = container.with_exec([*program, "--cache", Cache.PAGES.path])
        responses = json.loads(await step.file(_RESPONSES).contents())
        return {
            query: IndexResponse.model_validate(response, strict=False)
            for query, response in zip(queries, responses, strict=True)
        }
