"""What `latest` and `bump` do: decide, read the pages that were missing, and decide again until none is."""

import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

from ci.index.lookup import IndexCache
from ci.session.index_reader import Reader
from ci.session.session import Session
from ci.updates import outdated as latest
from ci.updates.bump import bump, wishes
from ci.updates.feasibility import UpdateContext
from ci.util.errors import UserError, choose

T = TypeVar("T")
LATEST_FORMATS = ("text", "json")
BUMP_FORMATS = ("text", "diff", "toml")
ROUNDS = 20  # each asks for what the one before could not know of; there are about four


async def told_latest(desk: Session, form: str) -> str:
    """Tell what is newer than what the matrix pins.

    Raises:
        UserError: there is no such form.
    """
    choose("format", form, LATEST_FORMATS)
    scene = UpdateContext(desk.shop, IndexCache())
    found = await _settled(desk, scene, latest.latest)
    return (latest.text if form == "text" else latest.document)(scene, found)


async def told_bump(desk: Session, to: Sequence[str], form: str) -> str:
    """Change the matrix, and tell what changed or give the document.

    Raises:
        UserError: there is no such form, or a change cannot be made.
    """
    choose("format", form, BUMP_FORMATS)
    scene = UpdateContext(desk.shop, IndexCache())
    wishes(scene, to)  # mistakes come before the first look at the network
    made = await _settled(desk, scene, lambda seen: bump(seen, desk.text, desk.file, to))
    if form == "toml":
        return made.after
    return made.diff() if form == "diff" else made.text()


async def _settled(desk: Session, scene: UpdateContext, decide: Callable[[UpdateContext], T]) -> T:
    if desk.site.supply:
        raise UserError("a bundle has no indexes that tell of newer versions: leave out --from-bundle")
    tools, image = desk.shop.lock.tools(), desk.shop.sources.images.cpu
    reader = Reader(desk.site, image, tools, secrets.token_hex(8))
    book = scene.book
    for _ in range(ROUNDS):
        try:
            found = decide(scene)
        except UserError:
            if not book.missing:  # else it was said without knowing all
                raise
        else:
            if not book.missing:
                return found
        book.add(await reader.read(tuple(book.missing)))
    raise RuntimeError("each page that was read asks for another one")
