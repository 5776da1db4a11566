"""A matrix document with newer versions in it: comments and layout stay as they are. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches, unified_diff
from typing import Any

from ci import requirements
from ci.documents import merged, parse_toml
from ci.errors import UserError, choose, shown
from ci.latest import effects_text, new_pair
from ci.outlook import Path, Scene
from ci.pins import (
    Candidate,
    Pin,
    breaks,
    candidate,
    candidates,
    effects,
    pair_effects,
    pins,
    taken,
    versions,
)

FEW = 8  # versions that a message names


@dataclass(frozen=True)
class Bump:
    """A changed document, and in words what changed and what did not."""

    name: str
    before: str
    after: str
    lines: tuple[str, ...]

    def text(self) -> str:
        """Return what changed, for people."""
        return "".join(f"{line}\n" for line in self.lines)

    def diff(self) -> str:
        """Return the change as `git apply` takes it."""
        before, after = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        return "".join(unified_diff(before, after, f"a/{self.name}", f"b/{self.name}"))


def wishes(scene: Scene, to: Sequence[str]) -> list[tuple[str, str]]:
    """Read `NAME=VERSION` words.

    Raises:
        UserError: a word is none, or its name is not known, or stands twice.
    """
    names = ["torch", *(pin.name for pin in pins(scene)), "pair"]
    found: list[tuple[str, str]] = []
    for word in to:
        name, equals, version = word.partition("=")
        if not equals or not version:
            raise UserError(f"bad change {shown(word)}; accepted: NAME=VERSION, such as ray=2.60.0")
        choose("name", name, names)
        if name != "pair" and name in dict(found):
            raise UserError(f"{name} stands twice")
        found.append((name, version))
    return found


def bump(scene: Scene, text: str, name: str, to: Sequence[str]) -> Bump:
    """Change what the words ask for (`ray=2.60.0`), or with none everything to the newest that breaks no cell.

    Raises:
        UserError: a word is wrong, its version is on no index, or it breaks a cell.
    """
    work = _Work(scene)
    asked = wishes(scene, to)
    for wish, version in asked:
        work.ask(wish, version)
    if not asked:
        work.newest()
    work.hints()
    return Bump(name=name, before=text, after=edited(text, work.changes, work.pairs), lines=tuple(work.lines))


class _Work:
    """Changes one after the other, each judged with those before it in place."""

    def __init__(self, scene: Scene) -> None:
        self.first = self.scene = scene
        self.changes: dict[Path, str] = {}
        self.pairs: list[tuple[str, str]] = []
        self.lines: list[str] = []

    def newest(self) -> None:
        for name in [pin.name for pin in pins(self.scene)]:
            pin = self._pin(name)
            new = taken(self.scene, pin)
            better = candidates(self.scene, pin)[:1]
            if new:
                self._take(pin, new)
            if better and (new is None or better[0].version != new.version):
                why = breaks(self.scene, self.scene.changed(better[0].changes))[0]
                self.lines.append(f"{name} does not go to {better[0].version}: {why}")
            known = versions(self.scene, pin)
            if isinstance(known, str):
                self.lines.append(f"{name} stays at {pin.version}, its index could not be read: {known}")
        if not self.changes:
            self.lines.append("nothing to change")

    def ask(self, name: str, version: str) -> None:
        if name == "pair":
            self._add(version)
            return
        rows = [pin.name for pin in pins(self.scene) if pin.cuda]
        for one in rows if name == "torch" else [name]:
            self._ask(self._pin(one), version)

    def hints(self) -> None:
        """Say what is to be done beside the matrix."""
        shop = self.scene.shop
        for pair in shop.matrix.pairs:
            row = shop.matrix.torch[shop.profile].get(pair.cuda)
            pair_id = shop.matrix.pair(pair.cuda, pair.python)[0].pair_id
            for stage in requirements.STAGES if row else ():
                locked = shop.lock.requirements(shop.profile, pair_id, stage)
                if (
                    locked
                    and row
                    and not requirements.honours(locked, requirements.wanted(stage, shop.matrix, row))
                ):
                    self.lines.append(
                        "the locks are for other pins: `python requirements/relock.py` writes them anew"
                    )
                    return

    def _pin(self, name: str) -> Pin:
        return next(pin for pin in pins(self.scene) if pin.name == name)

    def _ask(self, pin: Pin, version: str) -> None:
        known = versions(self.scene, pin)
        if isinstance(known, str):
            raise UserError(f"{pin.name}: its index could not be read: {known}")
        texts = {str(one): one for one in known}
        if version not in texts:
            close = get_close_matches(version[:60], texts, n=1, cutoff=0.6)
            hint = f" (did you mean {close[0]}?)" if close else ""
            few = ", ".join(list(texts)[:FEW]) or "none"
            older = ", and older ones" if len(texts) > FEW else ""
            raise UserError(f"unknown version {shown(version)} of {pin.name}{hint}; accepted: {few}{older}")
        new = candidate(self.scene, pin, texts[version])
        broken = breaks(self.scene, self.scene.changed(new.changes))
        if broken:
            rows = ", ".join(one.name for one in pins(self.scene) if one.cuda)
            hint = f"; torch can be changed row by row: {rows}" if pin.cuda else ""
            raise UserError(f"{pin.name} does not go to {version}: {broken[0]}{hint}")
        if new.changes:
            self._take(pin, new)
        else:
            self.lines.append(f"{pin.name} is at {version}")

    def _take(self, pin: Pin, new: Candidate) -> None:
        after = self.scene.changed(new.changes)
        before = self.scene.matrix.model_dump(by_alias=True)
        told = []
        for path, value in new.changes.items():
            old = before
            for key in path:
                old = old[key]
            told.append(f"{path[-1] if pin.cuda else pin.name} {old} -> {value}")
        self.lines.append(f"{pin.name}: {', '.join(told)}")
        self.lines += [f"  {line}" for line in effects_text(after, effects(self.scene, after, of=pin.cuda))]
        self.changes.update(new.changes)
        self.scene = after

    def _add(self, given: str) -> None:
        """Add a pair, `13.1.1/3.15`."""
        cuda, _, python = given.partition("/")
        rows = [pin.cuda for pin in pins(self.scene) if pin.cuda]
        choose("CUDA version", cuda, rows)
        known = self.scene.pythons()
        if isinstance(known, str):
            raise UserError(f"the Pythons could not be read: {known}")
        minors = dict.fromkeys(f"{one.major}.{one.minor}" for one in known)
        choose("Python version", python, minors)
        if any((pair.cuda, pair.python) == (cuda, python) for pair in self.scene.matrix.pairs):
            raise UserError(f"the matrix has the pair {cuda}/{python}")
        after = self.scene.changed(new_pair(self.scene, cuda, python))
        found = pair_effects(after, cuda, python)
        if any(one.state != "possible" for one in found):
            raise UserError(
                f"the pair {shown(given)} cannot be: {next(one.why[0] for one in found if one.why)}"
            )
        self.lines.append(f"pair {cuda}/{python}: added")
        self.lines += [f"  {line}" for line in effects_text(after, found)]
        self.pairs.append((cuda, python))
        self.scene = after


# -- the document --------------------------------------------------------------------------------------------


def edited(text: str, changes: Mapping[Path, str], pairs: Sequence[tuple[str, str]] = ()) -> str:
    """Set values of a TOML document by their paths and add pairs; every other character stays."""
    if not changes and not pairs:
        return text
    import tomlkit  # only here: it takes longer to load than the rest

    document = tomlkit.parse(text)
    wanted = parse_toml(text, "matrix")
    for path, value in changes.items():
        table: Any = document
        for key in path[:-1]:
            table = table[key]
        table[path[-1]] = value
        wanted = merged(wanted, _nested(path, value))
    for cuda, python in pairs:
        _append(document["pairs"], {"cuda": cuda, "python": python})
        wanted["pairs"] = [*wanted["pairs"], {"cuda": cuda, "python": python}]
    after = tomlkit.dumps(document)
    if parse_toml(after, "matrix") != wanted:
        raise RuntimeError("the edited matrix says something else than what was asked for")
    return after


def _append(pairs: Any, row: Mapping[str, str]) -> None:
    import tomlkit
    from tomlkit.items import AoT

    if not isinstance(pairs, AoT):
        pairs.append(tomlkit.item(dict(row)))
        return
    table = tomlkit.table()
    table.update(row)
    pairs.append(table)


def _nested(path: Path, value: str) -> dict[str, Any]:
    result: Any = value
    for key in reversed(path):
        result = {key: result}
    return dict(result)
