"""Build histories for tests: two runs over one pair and a cell of another, with every status."""

from typing import Any

from ci.history.history import History
from ci.history.records import BuildRecord, CompiledObjects, Failure, LayerSize, NamedSize, StageRun
from ci.report.model import Report, make_report

PAIR = "cu12.8.1-py3.13"
OTHER = "cu13.1.1-py3.14"
DEVEL = f"{PAIR}-devel"  # ok, twice; it grew
RUNTIME = f"{PAIR}-runtime"  # ok at the second attempt
RAY_DEVEL = f"{PAIR}-ray-devel"  # interrupted: its run ended
RAY_RUNTIME = f"{PAIR}-ray-runtime"  # failed, good before
MARIMO_DEVEL = f"{PAIR}-marimo-devel"  # warning
MARIMO_RUNTIME = f"{PAIR}-marimo-runtime"  # no attempt
BUILDING = f"{OTHER}-runtime"  # building now
CELLS = (DEVEL, RUNTIME, RAY_DEVEL, RAY_RUNTIME, MARIMO_DEVEL, MARIMO_RUNTIME, BUILDING)

NOW = "2026-11-22T04:00:00Z"
RUN = "run-2"  # the live one
PROBLEM = 'history.jsonl line 4: not JSON, passed over: \'{"cell": "cu12\''
TORCH = "sha256:" + "ab" * 32
GB = 10**9

HOSTILE = (
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "]]><failure/>",
    "<!-- cslr-images:end -->",
    "<!-- cslr-images:begin -->",
    "a|b||c\\|d",
    "`code` ``x`` **b** _i_ ~~s~~ [l](http://x) ![i](x) https://x.test/a_b www.x.test $x$ @x #1",
    "one\ntwo\r\nthree\u2028four",
    "\x00\x01\x08\x0b\x1b[31mred\x1b[0m\x7f\x85\ufffe\uffff",
    "\u202egnitteg\u200b",
    "'\"&amp;&lt;&#124;",
    "雪\U0001f980",
)


def record(cell: str, started: str = "2026-11-22T02:00:00Z", **changes: Any) -> BuildRecord:
    """Return the record of a successful attempt, with changes."""
    given: dict[str, Any] = {
        "run": RUN,
        "cell": cell,
        "plan": "5d" * 32,
        "sources": "upstream",
        "status": "ok",
        "started": started,
        "seconds": 288.0,
    }
    return BuildRecord(**(given | changes))


def failed(cell: str, failure: Failure, started: str = "2026-11-22T02:00:00Z", **changes: Any) -> BuildRecord:
    """Return the record of a failed attempt."""
    return record(cell, started, **({"status": "failed", "failure": failure} | changes))


def image(total: float) -> dict[str, Any]:
    """Return the fields of a record about an image of `total` GB: three layers, packages, versions, a digest."""
    size = round(total * GB)
    return {
        "size": size,
        "compressed": size // 3,
        "digest": "sha256:" + "cd" * 32,
        "layers": (
            LayerSize(name=TORCH, size=size // 2, compressed=size // 6),
            LayerSize(name="conda", size=size // 4),
            LayerSize(name="base", size=size // 8),
        ),
        "packages": tuple(NamedSize(name=f"package-{n:02}", size=n * 10**7) for n in range(1, 21)),
        "kinds": (NamedSize(name="library", size=size // 2), NamedSize(name="python", size=size // 4)),
        "elf": (NamedSize(name="gpu", size=size // 3),),
        "archs": (NamedSize(name="sm_80", size=size // 3),),
        "versions": {"torch": "2.11.0", "python": "3.13.9", "numpy": "2.4.0"},
        "checks": {"imports": True, "train_step": True},
    }


def stages(*rows: tuple[str, float, str]) -> tuple[StageRun, ...]:
    """Return stages from names, seconds, and the cell that each is shared with."""
    return tuple(
        StageRun(name=name, digest=name * 2, seconds=seconds, shared_with=shared)
        for name, seconds, shared in rows
    )


NETWORK = Failure(kind="network", stage="torch", message="connection refused")
COMPILE = Failure(
    kind="compile-error",
    stage="wheels",
    message="scatter.cu(7): error: no such <T>",
    command="uv build torch_scatter",
    exit_code=1,
    tail=("nvcc scatter.cu", "scatter.cu(7): error: no such <T>"),
)

HISTORY = History(
    (
        record(DEVEL, "2026-11-15T02:00:00Z", run="run-1", seconds=1266.0, **image(29.4)),
        record(RAY_RUNTIME, "2026-11-15T02:10:00Z", run="run-1", **image(20.6)),
        record(RAY_DEVEL, "2026-11-15T02:20:00Z", run="run-1", status="building", seconds=None),
        record(DEVEL, status="building", seconds=None),
        record(
            DEVEL,
            stages=(
                *stages(("base", 30.0, ""), ("torch", 120.0, "")),
                StageRun(name="wheels", seconds=95.0, objects=CompiledObjects(narrow=66, full=1, cached=60)),
            ),
            seconds=168.0,
            published=("registry.test/cslr:devel-cu128",),
            **image(30.0),
        ),
        failed(RUNTIME, NETWORK, "2026-11-22T02:10:00Z", seconds=20.0),
        record(
            RUNTIME,
            "2026-11-22T02:20:00Z",
            attempt=2,
            stages=(
                *stages(("torch", 120.0, DEVEL), ("pack", 60.0, "")),
                StageRun(name="verify", seconds=90.0),
                StageRun(name="measure", seconds=30.0),
            ),
            checked_in={"train_step": DEVEL},
            **image(20.3),
        ),
        failed(RAY_RUNTIME, COMPILE, "2026-11-22T02:30:00Z", seconds=35.0),
        record(
            MARIMO_DEVEL,
            "2026-11-22T02:40:00Z",
            status="warning",
            notes=("the page took 40 s",),
            **(image(30.4) | {"checks": {"imports": True, "marimo_page": False}}),
        ),
        record(BUILDING, "2026-11-22T03:00:00Z", status="building", seconds=None),
    ),
    (PROBLEM,),
)


def sample() -> Report:
    """Return the report of the sample history."""
    return make_report(HISTORY, CELLS, now=NOW, live=[RUN])


def said_everywhere(text: str) -> Report:
    """Return a report in which every free text is `text`: records of each status, and a problem."""
    failure = Failure(kind="unknown", stage=text, message=text, command=text, exit_code=1, tail=(text, text))
    free: dict[str, Any] = {
        "notes": (text,),
        "published": (text,),
        "digest": text,
        "versions": {text: text, "torch": text},
        "checks": {text: False},
        "checked_in": {text: text},
        "layers": (LayerSize(name=text, size=10),),
        "packages": (NamedSize(name=text, size=10),),
        "kinds": (NamedSize(name=text, size=10),),
        "stages": stages((text, 1.0, text)),
        "size": 10,
        "run": text,
        "sources": text,
    }
    records = (
        record(DEVEL, **(free | {"versions": {}, "checks": {}})),
        record(RUNTIME, status="warning", **free),
        record(MARIMO_DEVEL, **free),
        failed(RAY_RUNTIME, failure, **free),
    )
    return make_report(History(records, (text,)), (*CELLS, f"{OTHER}-{text}"), now=NOW, live=[RUN])
