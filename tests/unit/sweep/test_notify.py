"""News of a sweep, and webhooks that refuse or do not answer."""

import json

import pytest

from ci.history.history import History
from ci.history.records import BuildRecord, Failure, Status
from ci.sweep.notify import post, summarize_news
from tests.stand_ins.proxy import webhook

CELL = "cu12.8.1-py3.13-ray-runtime"


def record(status: Status, cell: str = CELL, run: str = "1") -> BuildRecord:
    failure = (
        Failure(kind="network", stage="torch", message="refused\nFAILED other")
        if status == "failed"
        else None
    )
    return BuildRecord(
        run=run,
        cell=cell,
        plan="p",
        sources="registries",
        status=status,
        started="2026-11-22T02:00:00Z",
        failure=failure,
    )  # fmt: skip


def test_each_failed_cell_has_a_line() -> None:
    lines = summarize_news(History(), [record("ok", "other"), record("failed")]).splitlines()
    assert lines == ["1 of 2 cells failed", f"FAILED {CELL}: network at torch: refused FAILED other"]


def test_a_recovery_is_news_once() -> None:
    for good in (record("ok", run="2"), record("warning", run="2")):
        assert summarize_news(History((record("failed"),)), [good]) == f"works again: {CELL}"
    assert summarize_news(History((record("failed"), record("ok", run="2"))), [record("ok", run="3")]) == ""


@pytest.mark.parametrize("status", ["ok", "not-run", "warning"])
def test_an_unchanged_status_is_no_news(status: Status) -> None:
    assert summarize_news(History((record("ok"),)), [record(status, run="2")]) == ""


async def test_news_are_posted_as_json_for_slack() -> None:
    with webhook() as (port, posted):
        assert await post(f"http://127.0.0.1:{port}/hook", 'two\nlines "quoted"') == ""
    assert [json.loads(data) for data in posted] == [{"text": 'two\nlines "quoted"'}]


@pytest.mark.parametrize("status", [404, 500])
async def test_a_webhook_that_refuses_is_an_error_and_no_exception(status: int) -> None:
    with webhook(status) as (port, _):
        error = await post(f"http://127.0.0.1:{port}/secret-token", "text")
    assert error.startswith("HTTPError")
    assert "secret-token" not in error


async def test_a_webhook_that_is_not_there_is_an_error_and_no_exception() -> None:
    with webhook() as (port, _):
        pass
    error = await post(f"http://127.0.0.1:{port}/secret-token", "text")
    assert "refused" in error
    assert "secret-token" not in error


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/", "", "hook"])
async def test_only_http_is_posted_to(address: str) -> None:
    assert await post(address, "text") == "the webhook is no http or https address"


@pytest.mark.parametrize("address", ["http://127.0.0.1 secret-token/", "http://127.0.0.1:1/secret token\n"])
async def test_an_address_that_is_invalid_is_an_error_and_no_exception(address: str) -> None:
    error = await post(address, "text")
    assert error
    assert "secret" not in error
