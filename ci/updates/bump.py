"""A matrix document with newer versions in it: comments and layout stay as they are. Pure."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches, unified_diff
from functools import reduce
from operator import getitem
from typing import Any

from ci.config.matrix import Cell
from ci.plan import requirements
from ci.updates.feasibility import Path, UpdateContext
from ci.updates.outdated import effects_text, new_pair, shown_cells
from ci.updates.pins import (
    Candidate,
    Pin,
    best_upgrade,
    candidate,
    candidates,
    effects,
    pair_effects,
    pins,
    regressions,
    versions,
)
from ci.util.errors import UserError, quote_value, require_choice
from ci.util.model import merge_tables, parse_toml

_EXCLUDED = "; cells that [[excludes]] of the matrix names do not count"
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


def parse_requests(context: UpdateContext, to: Sequence[str]) -> list[tuple[str, str]]:
    """Read `NAME=VERSION` words.

    Raises:
        UserError: a word is none, or its name is not known, or stands twice.
    """
    names = ["torch", *(pin.name for pin in pins(context)), "pair"]
    found: list[tuple[str, str]] = []
    for word in to:
        name, equals, version = word.partition("=")
        if not equals or not version:
            raise UserError(f"bad change {quote_value(word)}; accepted: NAME=VERSION, such as ray=2.60.0")
        require_choice("name", name, names)
        if name != "pair" and name in dict(found):
            raise UserError(f"{name} stands twice")
        found.append((name, version))
    return found


def bump(context: UpdateContext, text: str, name: str, to: Sequence[str]) -> Bump:
    """Change what the words ask for (`ray=2.60.0`), or with none everything to the newest that breaks no cell.

    Raises:
        UserError: a word is wrong, its version is on no index, or it breaks a cell.
    """
    work = _BumpBuilder(context)
    asked = parse_requests(context, to)
    for wish, version in asked:
        work.ask(wish, version)
    if not asked:
        work.newest()
    work.hints()
    return Bump(name=name, before=text, after=edited(text, work.changes, work.pairs), lines=tuple(work.lines))


class _BumpBuilder:
    """Changes one after the other, each judged with those before it in place."""

    def __init__(self, context: UpdateContext) -> None:
        self.context = context
        self.changes: dict[Path, str] = {}
        self.pairs: list[tuple[str, str]] = []
        self.lines: list[str] = []

    def newest(self) -> None:
        """Take the newest of everything that breaks no cell, and say what was not taken and why."""
        for name in [pin.name for pin in pins(self.context)]:
            pin = self._pin(name)
            known = versions(self.context, pin)
            if isinstance(known, str):
                self.lines.append(f"{name} stays at {pin.version}: its index could not be read: {known}")
                continue
            new = best_upgrade(self.context, pin)
            better = next(iter(candidates(self.context, pin)), None)
            if better and better != new:
                why = regressions(self.context, self.context.changed(better.changes))[0]
                self.lines.append(f"{name} does not go to {better.version}: {why}")
            if new:
                self._take(pin, new)
        if not self.changes:
            self.lines.append("nothing to change")

    def ask(self, name: str, version: str) -> None:
        """Take a version that is asked for by a pin's name, `torch` for all its rows, or add a pair."""
        if name == "pair":
            self._add(version)
        elif name == "torch":
            rows = [pin.name for pin in pins(self.context) if pin.cuda]
            for row in rows:
                self._ask(row, version, f"; a row of torch can be changed alone: {', '.join(rows)}")
        else:
            self._ask(name, version, _EXCLUDED)

    def hints(self) -> None:
        """Say what is to be done beside the matrix."""
        inputs = self.context.inputs
        for pair in inputs.matrix.pairs if self.changes else ():
            row = inputs.matrix.torch[inputs.sources_name].get(pair.cuda)
            pair_id = Cell(cuda=pair.cuda, python=pair.python, target="any").pair_id
            for stage in requirements.STAGES if row else ():
                locked = inputs.locks.requirements(inputs.sources_name, pair_id, stage)
                asked = requirements.requirement_lines(stage, inputs.matrix, row) if row else ""
                if locked and not requirements.satisfies(locked, asked):
                    self.lines.append(
                        "locks are for other pins now: `python requirements/relock.py` writes them"
                    )
                    return

    def _pin(self, name: str) -> Pin:
        return next(pin for pin in pins(self.context) if pin.name == name)

    def _ask(self, name: str, version: str, hint: str) -> None:
        pin = self._pin(name)
        known = versions(self.context, pin)
        if isinstance(known, str):
            raise UserError(f"the index of {name} could not be read: {known}")
        texts = {str(one): one for one in known}
        if version not in texts:
            close = get_close_matches(version[:60], texts, n=1, cutoff=0.6)
            guess = f" (did you mean {close[0]}?)" if close else ""
            few = ", ".join([*list(texts)[:FEW], *(["and older ones"] if len(texts) > FEW else [])]) or "none"
            raise UserError(f"unknown version {quote_value(version)} of {name}{guess}; accepted: {few}")
        new = candidate(self.context, pin, texts[version])
        if broken := regressions(self.context, self.context.changed(new.changes)):
            raise UserError(f"{name} does not go to {version}: {broken[0]}{hint}")
        if new.changes:
            self._take(pin, new)
        else:
            self.lines.append(f"{name} is at {version}")

    def _take(self, pin: Pin, new: Candidate) -> None:
        after = self.context.changed(new.changes)
        old = self.context.matrix.model_dump(by_alias=True)
        told = [f"{path[-1]} {reduce(getitem, path, old)} -> {value}" for path, value in new.changes.items()]
        self.lines.append(f"{pin.name}: {', '.join(told)}")
        self.lines += [f"  {line}" for line in effects_text(after, effects(self.context, after, of=pin.cuda))]
        self.changes.update(new.changes)
        self.context = after

    def _add(self, given: str) -> None:
        cuda, _, python = given.partition("/")
        require_choice("CUDA version", cuda, [pin.cuda for pin in pins(self.context) if pin.cuda])
        known = self.context.pythons()
        if isinstance(known, str):
            raise UserError(f"the list of Pythons could not be read: {known}")
        require_choice("Python version", python, dict.fromkeys(f"{one.major}.{one.minor}" for one in known))
        if any((pair.cuda, pair.python) == (cuda, python) for pair in self.context.matrix.pairs):
            raise UserError(f"the matrix has the pair {given}")
        after = self.context.changed(new_pair(self.context, cuda, python))
        found = pair_effects(after, cuda, python)
        for one in found:
            if one.state != "possible":
                raise UserError(f"{shown_cells(after, one.cells)} cannot be made: {one.why[0]}{_EXCLUDED}")
        self.lines.append(f"pair {given}: added")
        self.lines += [f"  {line}" for line in effects_text(after, found)]
        self.pairs.append((cuda, python))
        self.context = after


# -- the document --------------------------------------------------------------------------------------------


def edited(text: str, changes: Mapping[Path, str], pairs: Sequence[tuple[str, str]] = ()) -> str:
    """Set values of a TOML document by their paths and add pairs; every other character stays."""
    if not changes and not pairs:
        return text
    import tomlkit  # only here: it takes longer to load than the rest

    # What is added must not stand on the last line.
    document = tomlkit.parse(f"{text}\n" if pairs and not text.endswith("\n") else text)
    wanted = parse_toml(text, "matrix")
    for path, value in changes.items():
        table: Any = document
        for key in path[:-1]:
            table = table[key]
        table[path[-1]] = value
        wanted = merge_tables(wanted, _nested(path, value))
    for cuda, python in pairs:
        _append(document["pairs"], {"cuda": cuda, "python": python})
        wanted["pairs"] = [*wanted["pairs"], {"cuda": cuda, "python": python}]
    after = tomlkit.dumps(document)
    if tomllib.loads(after) != wanted:
        raise RuntimeError("the edited matrix says something else than what was asked for")
    return after


def _append(pairs: Any, row: Mapping[str, str]) -> None:
    import tomlkit
    from tomlkit.items import AoT

    if not isinstance(pairs, AoT):
        inline = tomlkit.inline_table()
        inline.update(row)
        pairs.append(inline)
        return
    table = tomlkit.table()
    table.update(row)
    table.add(tomlkit.nl())  # an empty line before what follows
    pairs.append(table)


def _nested(path: Path, value: str) -> dict[str, Any]:
    result: Any = value
    for key in reversed(path):
        result = {key: result}
    return dict(result)
