"""Which tests go one after the other where pytest-xdist runs several at once, as `tests/run` lets it.

Those of the usual engine do: they share what it has built. Those that start engines of their own, which wait a lot, run
beside them, and so does whatever needs no engine.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

OWN = ("tests/engine/test_bundle.py", "tests/engine/test_crash.py")


class Rows(LoadScopeScheduling):
    """Deals out rows of tests; a row stays on one worker. (xdist's own `loadgroup` sees no groups under pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(OWN):
            return "engines of their own"
        return "the usual engine" if nodeid.startswith("tests/engine/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Rows:
    return Rows(config, log)
