"""Tells a webhook that cells fail or work again; a webhook that does not answer changes nothing."""

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit

import anyio.to_thread
import dagger

from ci.history.records import BuildRecord, History
from ci.stages.online import MIRROR
from ci.util.errors import one_line

TIMEOUT = 10.0  # seconds
GOOD = ("ok", "warning")


def news(before: History, records: Sequence[BuildRecord]) -> str:
    """Return what is worth telling about a sweep: cells that failed and cells that work again; empty for neither.

    The lines are those of Slack's `text`: no other markup, one cell a line.
    """
    failed = [record for record in records if record.status == "failed"]
    again = [
        record
        for record in records
        if record.status in GOOD and (tries := before.of(record.cell)) and tries[-1].status == "failed"
    ]
    lines = [f"{len(failed)} of {len(records)} cells failed"] if failed else []
    lines += [
        f"FAILED {record.cell}: {record.failure.kind} at {record.failure.stage}: {record.failure.message}"
        for record in failed
        if record.failure
    ]
    lines += [f"works again: {record.cell}" for record in again]
    return "\n".join(one_line(line) for line in lines)


async def post(address: str, text: str) -> str:
    """Send a text as Slack-compatible JSON, `{"text": …}`; return what went wrong, empty when nothing did."""
    if urlsplit(address).scheme not in ("http", "https"):
        return "the webhook is no http or https address"
    request = urllib.request.Request(  # noqa: S310 - checked above
        address,
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        await anyio.to_thread.run_sync(_send, request, abandon_on_cancel=True)
    except (OSError, ValueError, HTTPException) as error:
        # The address itself is a secret: only the kind of trouble is told.
        return one_line(
            f"{type(error).__name__}: {getattr(error, 'reason', '') or getattr(error, 'code', '')}"
        )
    return ""


def _send(request: urllib.request.Request) -> None:
    with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310 - checked by the caller
        return


@dataclass(frozen=True)
class Webhook:
    """Where news of a run go: an address, which is a secret, and the service that listens if it is the caller's."""

    address: dagger.Secret | None
    service: dagger.Service | None

    async def post_news(self, before: History, records: Sequence[BuildRecord]) -> str:
        """Post what changed; return a line on how that went, empty where nothing changed."""
        said = news(before, records)
        if self.address is None or not said:
            return ""
        address = (await self.address.plaintext()).strip()
        if self.service:
            await self.service.start()
            address = address.replace(f"//{MIRROR}", f"//{await self.service.hostname()}", 1)
        trouble = await post(address, said)
        return f"webhook: not told ({trouble})" if trouble else "webhook: told"
