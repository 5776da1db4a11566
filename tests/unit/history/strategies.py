"""Build records and histories for tests: small ones, and random ones of every shape."""

from typing import Any

from hypothesis import strategies as st

from ci.history.history import History
from ci.history.records import BuildRecord, CompiledObjects, Failure, NamedSize, StageRun
from tests.unit.user_errors import texts

RUNS, CELLS = ("run-1", "run-2"), ("a", "b")


SURROGATES = ("\ud800", "\udfff", "\ud83e\udd80", "x\udcffy", "\udc80\udc81")


anything = texts | st.sampled_from(SURROGATES)


moments = st.sampled_from(
    [
        "2026-11-22T02:00:00Z",
        "2026-11-22T02:00:00.5Z",
        "2026-11-22T02:00:00.50Z",
        "2026-11-22T02:00:01Z",
        "2024-02-29T23:59:59.123456Z",
    ]
)


def record(**changes: Any) -> BuildRecord:
    """Return a small record with changes."""
    small: dict[str, Any] = {
        "run": "run-1",
        "cell": "a",
        "plan": "p",
        "sources": "upstream",
        "status": "ok",
        "started": "2026-11-22T02:00:00Z",
    }
    return BuildRecord(**(small | changes))


def failure(kind: Any = "network") -> Failure:
    """Return a failure of a kind."""
    return Failure(kind=kind, stage="torch", message="why")


def text_of(*found: BuildRecord) -> str:
    """Return the lines of records."""
    return "".join(one.line() for one in found)


def _records(
    names: st.SearchStrategy[str] = anything, cells: st.SearchStrategy[str] | None = None
) -> st.SearchStrategy[BuildRecord]:
    """Build records of every shape, from the model's own annotations except for fields with a format of their own."""
    sizes = st.none() | st.integers(0, 2**63 - 1)
    failures = st.builds(
        Failure,
        kind=st.sampled_from(["network", "interrupted", "unknown"]),
        stage=names,
        message=names,
        command=names,
        exit_code=st.none() | st.integers(),
        tail=st.lists(names, max_size=3).map(tuple),
    )
    seconds = st.floats(0, allow_infinity=False)
    numbers = st.integers(0, 99)
    objects = st.builds(CompiledObjects, narrow=numbers, full=numbers, cached=numbers)
    return st.builds(
        BuildRecord,
        run=names,
        cell=cells or names,
        attempt=st.integers(1, 3),
        plan=names,
        sources=names,
        status=st.sampled_from(["not-run", "building", "ok", "warning", "failed"]),
        started=moments,
        seconds=st.none() | seconds,
        stages=st.lists(
            st.builds(
                StageRun,
                name=names,
                digest=names,
                seconds=seconds,
                shared_with=names,
                objects=st.none() | objects,
            ),
            max_size=2,
        ).map(tuple),
        size=sizes,
        compressed=sizes,
        archs=st.lists(st.builds(NamedSize, name=names, size=st.integers(0, 2**63 - 1)), max_size=1).map(
            tuple
        ),
        versions=st.dictionaries(names, names, max_size=2),
        checks=st.dictionaries(names, st.booleans(), max_size=2),
        checked_in=st.dictionaries(names, names, max_size=2),
        notes=st.lists(names, max_size=2).map(tuple),
        failure=st.none() | failures,
    )


records = _records()


# Few names, so that several records describe the same attempt.
tries = st.builds(
    lambda run, cell, attempt, status, started, kind: record(
        run=run,
        cell=cell,
        attempt=attempt,
        status=status,
        started=started,
        failure=failure(kind) if kind else None,
    ),
    st.sampled_from(RUNS),
    st.sampled_from(CELLS),
    st.integers(1, 2),
    st.sampled_from(["not-run", "building", "ok", "warning", "failed"]),
    moments,
    st.sampled_from([None, "network", "interrupted"]),
)


histories = st.lists(tries, max_size=8).map(lambda found: History(tuple(found)))
