"""Run `latest` and `bump`: decide, read the missing index pages, and decide again."""

import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

from ci.choices import BUMP_FORMATS, OUTDATED_FORMATS
from ci.index.lookup import IndexCache
from ci.session.index_reader import IndexReader
from ci.session.session import Session
from ci.updates.bump import bump, parse_requests
from ci.updates.feasibility import UpdateContext
from ci.updates.outdated import find_outdated
from ci.updates.render import render_json, render_text
from ci.util.errors import UserError, require_choice

T = TypeVar("T")
_MAX_ROUNDS = 20  # usually four: the responses of a round decide what the next one must read


async def show_outdated(session: Session, form: str) -> str:
    """List newer versions of what the matrix pins, as text or JSON.

    Raises:
        UserError: the format is unknown.
    """
    require_choice("format", form, OUTDATED_FORMATS)
    context = UpdateContext(session.inputs, IndexCache())
    outdated = await until_resolved(session, context, find_outdated)
    return (render_text if form == "text" else render_json)(context, outdated)


async def show_bump(session: Session, to: Sequence[str], form: str) -> str:
    """Change the matrix, and return the changes in words, as a diff, or the new document.

    Raises:
        UserError: the format is unknown, or a change cannot be made.
    """
    require_choice("format", form, BUMP_FORMATS)
    context = UpdateContext(session.inputs, IndexCache())
    parse_requests(context, to)  # report mistakes before the network is used
    text, file = session.matrix_text, session.matrix_file
    bumped = await until_resolved(session, context, lambda read: bump(read, text, file, to))
    if form == "toml":
        return bumped.after
    return bumped.diff() if form == "diff" else bumped.text()


async def until_resolved(session: Session, context: UpdateContext, decide: Callable[[UpdateContext], T]) -> T:
    """Return the decision that is made once every response that it needs was read.

    Raises:
        UserError: the session is offline, or the decision is an error.
    """
    if session.context.offline_bundle:
        raise UserError("a bundle has no indexes that tell of newer versions: leave out --from-bundle")
    tools, image = session.inputs.locks.tools(), session.inputs.sources.images.cpu
    reader = IndexReader(session.context, image, tools, secrets.token_hex(8))
    index_cache = context.index_cache
    for _ in range(_MAX_ROUNDS):
        try:
            decision = decide(context)
        except UserError:
            if not index_cache.pending:  # otherwise it was raised without all responses
                raise
        else:
            if not index_cache.pending:
                return decision
        index_cache.add(await reader.read(tuple(index_cache.pending)))
    raise RuntimeError(f"index pages are still missing after {_MAX_ROUNDS} rounds")
