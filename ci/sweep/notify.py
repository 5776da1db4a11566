"""Post failures and recoveries of cells to a webhook, whose errors fail no sweep."""

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import dagger

from ci.history.history import History
from ci.history.records import BuildRecord
from ci.stages.online import MIRROR
from ci.util.errors import one_line
from ci.util.escape import escape_slack

TIMEOUT = 10.0  # seconds of the whole exchange
GOOD = ("ok", "warning")


def summarize_news(before: History, records: Sequence[BuildRecord]) -> str:
    """Return one line for each cell that failed or recovered; empty if there is none.

    `before` is the history without `records`. The text is Slack's, without markup: what a step printed names no one.
    """
    failed = [record for record in records if record.status == "failed"]
    recovered = [
        record
        for record in records
        if record.status in GOOD
        and (attempts := before.finished(record.cell))
        and attempts[-1].status == "failed"
    ]
    lines = [f"{len(failed)} of {len(records)} cells failed"] if failed else []
    lines += [
        f"FAILED {record.cell}: {record.failure.kind} at {record.failure.stage}: {record.failure.message}"
        for record in failed
        if record.failure
    ]
    lines += [f"works again: {record.cell}" for record in recovered]
    return "\n".join(escape_slack(one_line(line)) for line in lines)


async def post(address: str, text: str) -> str:
    """Post a text as Slack-compatible JSON, `{"text": …}`; return the error, empty if none."""
    try:
        if urlsplit(address).scheme not in ("http", "https"):
            return "the webhook is no http or https address"
        request = urllib.request.Request(  # noqa: S310 - checked above
            address,
            data=json.dumps({"text": text}).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        # For the whole exchange: a server that sends a byte a second keeps each wait of the thread short, and the
        # thread is left behind.
        with anyio.fail_after(TIMEOUT):
            await anyio.to_thread.run_sync(_send, request, abandon_on_cancel=True)
    except Exception as error:  # noqa: BLE001 - whatever a server answers, the report of the sweep is returned
        return _describe_error(error)
    return ""


def _send(request: urllib.request.Request) -> None:
    with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310 - checked by the caller
        return


def _describe_error(error: Exception) -> str:
    # The address is a secret, and error messages may contain it: only the kind of error is returned, the status, and
    # what the system says of a connection.
    reason = getattr(error, "reason", None)
    known = reason if isinstance(reason, OSError) else getattr(error, "code", None)
    if isinstance(error, TimeoutError) or isinstance(reason, TimeoutError):
        return f"no answer within {TIMEOUT:g} s"
    return one_line(f"{type(error).__name__}: {known}" if known else type(error).__name__)


@dataclass(frozen=True)
class Webhook:
    """A webhook with a secret address; `service` listens there if it is the caller's."""

    address: dagger.Secret | None
    service: dagger.Service | None

    async def post_news(self, before: History, records: Sequence[BuildRecord]) -> str:
        """Post failures and recoveries; return a line for the report, empty if there are none."""
        news = summarize_news(before, records)
        if self.address is None or not news:
            return ""
        try:
            address = (await self.address.plaintext()).strip()
            if self.service:
                await self.service.start()
                address = address.replace(f"//{MIRROR}", f"//{await self.service.hostname()}", 1)
            error = await post(address, news)
        except dagger.QueryError:
            error = "the engine gave no address or service"
        return f"webhook: not told ({error})" if error else "webhook: told"
