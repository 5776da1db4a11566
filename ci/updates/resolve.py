"""What `latest` and `bump` do: decide, read the pages that were missing, and decide again until none is."""

import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

from ci.choices import BUMP_FORMATS, OUTDATED_FORMATS
from ci.index.lookup import IndexCache
from ci.session.index_reader import Reader
from ci.session.session import Session
from ci.updates import outdated as latest
from ci.updates.bump import bump, parse_requests
from ci.updates.feasibility import UpdateContext
from ci.util.errors import UserError, require_choice

T = TypeVar("T")
ROUNDS = 20  # each asks for what the one before could not know of; there are about four


async def show_outdated(session: Session, form: str) -> str:
    """Tell what is newer than what the matrix pins.

    Raises:
        UserError: there is no such form.
    """
    require_choice("format", form, OUTDATED_FORMATS)
    context = UpdateContext(session.inputs, IndexCache())
    found = await until_resolved(session, context, latest.latest)
    return (latest.text if form == "text" else latest.document)(context, found)


async def show_bump(session: Session, to: Sequence[str], form: str) -> str:
    """Change the matrix, and tell what changed or give the document.

    Raises:
        UserError: there is no such form, or a change cannot be made.
    """
    require_choice("format", form, BUMP_FORMATS)
    context = UpdateContext(session.inputs, IndexCache())
    parse_requests(context, to)  # mistakes come before the first look at the network
    made = await until_resolved(session, context, lambda seen: bump(seen, session.text, session.file, to))
    if form == "toml":
        return made.after
    return made.diff() if form == "diff" else made.text()


async def until_resolved(session: Session, context: UpdateContext, decide: Callable[[UpdateContext], T]) -> T:
    if session.context.offline_bundle:
        raise UserError("a bundle has no indexes that tell of newer versions: leave out --from-bundle")
    tools, image = session.inputs.locks.tools(), session.inputs.sources.images.cpu
    reader = Reader(session.context, image, tools, secrets.token_hex(8))
    index_cache = context.index_cache
    for _ in range(ROUNDS):
        try:
            found = decide(context)
        except UserError:
            if not index_cache.missing:  # else it was said without knowing all
                raise
        else:
            if not index_cache.missing:
                return found
        index_cache.add(await reader.read(tuple(index_cache.missing)))
    raise RuntimeError("each page that was read asks for another one")
