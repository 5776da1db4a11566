"""Write newer versions into a matrix document, keeping its comments and layout."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches, unified_diff
from functools import reduce
from operator import getitem
from typing import Any

from ci.config.matrix import Cell
from ci.plan import requirements
from ci.updates.feasibility import UpdateContext
from ci.updates.impacts import find_impacts, find_pair_impacts, find_regressions
from ci.updates.model import Candidate, Path, Pin
from ci.updates.outdated import make_pair_change
from ci.updates.pins import find_best_upgrade, list_candidates, list_pins, list_versions, make_candidate
from ci.updates.render import abbreviate_cells, impact_lines
from ci.util.errors import UserError, quote_value, require_choice
from ci.util.model import merge_tables, parse_toml

_EXCLUDED = "; cells that [[excludes]] of the matrix names do not count"
_NO_NEWLINE = "\\ No newline at end of file"  # as diff and git write it
_PAIRS_HEADER = re.compile(r"\s*\[\[\s*[\"']?pairs[\"']?\s*\]\]")
_MAX_NAMED = 8  # versions in a message


@dataclass(frozen=True)
class Bump:
    """A matrix document before and after, and in words what changed and what did not."""

    name: str
    before: str
    after: str
    lines: tuple[str, ...]

    def text(self) -> str:
        """Return the changes in words."""
        return "".join(f"{line}\n" for line in self.lines)

    def diff(self) -> str:
        """Return the changes as a diff for `git apply`."""
        before, after = _split_lines(self.before), _split_lines(self.after)
        lines = unified_diff(before, after, f"a/{self.name}", f"b/{self.name}")
        return "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}\n" for line in lines)


def parse_requests(context: UpdateContext, words: Sequence[str]) -> list[tuple[str, str]]:
    """Parse `NAME=VERSION` words into pairs.

    Raises:
        UserError: a word has another form, or its name is unknown or given twice.
    """
    names = ["torch", *(pin.name for pin in list_pins(context)), "pair"]
    requests: list[tuple[str, str]] = []
    for word in words:
        name, equals, version = word.partition("=")
        if not equals or not version:
            raise UserError(f"bad change {quote_value(word)}; accepted: NAME=VERSION, such as ray=2.60.0")
        require_choice("name", name, names)
        if name != "pair" and name in dict(requests):
            raise UserError(f"{name} is given twice")
        requests.append((name, version))
    return requests


def bump(context: UpdateContext, text: str, name: str, words: Sequence[str]) -> Bump:
    """Change what the words request (`ray=2.60.0`); without any, upgrade every pin.

    An upgrade goes to the newest version that keeps every cell buildable.

    Raises:
        UserError: a word is wrong, its version is on no index, or it breaks a cell.
    """
    builder = _BumpBuilder(context)
    requests = parse_requests(context, words)
    for request, version in requests:
        builder.apply_request(request, version)
    if not requests:
        builder.upgrade_all()
    builder.add_lock_hint()
    after = edit_document(text, builder.changes, builder.pairs)
    return Bump(name=name, before=text, after=after, lines=tuple(builder.lines))


class _BumpBuilder:
    """Apply changes one after the other, each checked on top of those before it."""

    def __init__(self, context: UpdateContext) -> None:
        self.context = context
        self.changes: dict[Path, str] = {}
        self.pairs: list[tuple[str, str]] = []
        self.lines: list[str] = []

    def upgrade_all(self) -> None:
        """Apply the best upgrade of every pin, and explain the newer versions that were not used."""
        for name in [pin.name for pin in list_pins(self.context)]:
            pin = self._pin(name)
            versions = list_versions(self.context, pin)
            if isinstance(versions, str):
                self.lines.append(f"{name} stays at {pin.version}: its index could not be read: {versions}")
                continue
            best = find_best_upgrade(self.context, pin)
            newest = next(iter(list_candidates(self.context, pin)), None)
            if newest and newest != best:
                why = find_regressions(self.context, self.context.with_changes(newest.changes))[0]
                self.lines.append(f"{name} does not go to {newest.version}: {why}")
            if best:
                self._apply(pin, best)
        if not self.changes:
            self.lines.append("nothing to change")

    def apply_request(self, name: str, version: str) -> None:
        """Apply a requested version of a pin (`torch` means all its rows), or add a pair."""
        if name == "pair":
            self._add_pair(version)
        elif name == "torch":
            rows = [pin.name for pin in list_pins(self.context) if pin.cuda]
            for row in rows:
                self._change_pin(row, version, f"; a row of torch can be changed alone: {', '.join(rows)}")
        else:
            self._change_pin(name, version, _EXCLUDED)

    def add_lock_hint(self) -> None:
        """Add a line if a lock no longer satisfies the changed pins."""
        inputs = self.context.inputs
        for pair in inputs.matrix.pairs if self.changes else ():
            pins = self.context.find_torch_pins.get(pair.cuda)
            pair_id = Cell(cuda=pair.cuda, python=pair.python, target="any").pair_id
            for stage in requirements.list_locked_stages(inputs.matrix) if pins else ():
                locked = inputs.locks.requirements(inputs.sources_name, pair_id, stage)
                lines = requirements.write_requirements(stage, inputs.matrix, pins) if pins else ""
                if locked and not requirements.satisfies(locked, lines):
                    self.lines.append(
                        "locks are for other pins now: `python requirements/relock.py` writes them"
                    )
                    return

    def _pin(self, name: str) -> Pin:
        return next(pin for pin in list_pins(self.context) if pin.name == name)

    def _change_pin(self, name: str, version: str, hint: str) -> None:
        pin = self._pin(name)
        versions = list_versions(self.context, pin)
        if isinstance(versions, str):
            raise UserError(f"the index of {name} could not be read: {versions}")
        by_text = {str(known): known for known in versions}
        if version not in by_text:
            raise UserError(_unknown_version(name, version, list(by_text)))
        candidate = make_candidate(self.context, pin, by_text[version])
        if broken := find_regressions(self.context, self.context.with_changes(candidate.changes)):
            raise UserError(f"{name} does not go to {version}: {broken[0]}{hint}")
        if candidate.changes:
            self._apply(pin, candidate)
        else:
            self.lines.append(f"{name} is at {version}")

    def _apply(self, pin: Pin, candidate: Candidate) -> None:
        after = self.context.with_changes(candidate.changes)
        old = self.context.matrix.model_dump(by_alias=True)
        changes = [
            f"{path[-1]} {reduce(getitem, path, old)} -> {value}" for path, value in candidate.changes.items()
        ]
        self.lines.append(f"{pin.name}: {', '.join(changes)}")
        impacts = find_impacts(self.context, after, cuda=pin.cuda)
        self.lines += [f"  {line}" for line in impact_lines(after, impacts)]
        self.changes.update(candidate.changes)
        self.context = after

    def _add_pair(self, pair: str) -> None:
        cuda, _, python = pair.partition("/")
        require_choice("CUDA version", cuda, [pin.cuda for pin in list_pins(self.context) if pin.cuda])
        releases = self.context.python_releases()
        if isinstance(releases, str):
            raise UserError(f"the list of Pythons could not be read: {releases}")
        minors = dict.fromkeys(f"{release.major}.{release.minor}" for release in releases)
        require_choice("Python version", python, minors)
        if any((known.cuda, known.python) == (cuda, python) for known in self.context.matrix.pairs):
            raise UserError(f"the matrix has the pair {pair}")
        after = self.context.with_changes(make_pair_change(self.context, cuda, python))
        impacts = find_pair_impacts(after, cuda, python)
        for impact in impacts:
            if impact.state != "possible":
                cells = abbreviate_cells(after, impact.cells)
                raise UserError(f"{cells} cannot be made: {impact.why[0]}{_EXCLUDED}")
        self.lines.append(f"pair {pair}: added")
        self.lines += [f"  {line}" for line in impact_lines(after, impacts)]
        self.pairs.append((cuda, python))
        self.context = after


def _unknown_version(name: str, version: str, known: Sequence[str]) -> str:
    close = get_close_matches(version[:60], known, n=1, cutoff=0.6)
    guess = f" (did you mean {close[0]}?)" if close else ""
    older = ["and older ones"] if len(known) > _MAX_NAMED else []
    accepted = ", ".join([*known[:_MAX_NAMED], *older]) or "none"
    return f"unknown version {quote_value(version)} of {name}{guess}; accepted: {accepted}"


# -- the document --------------------------------------------------------------------------------------------


def edit_document(text: str, changes: Mapping[Path, str], pairs: Sequence[tuple[str, str]] = ()) -> str:
    """Set values of a TOML document by their paths and add pairs; every other character stays."""
    if not changes and not pairs:
        return text
    import tomlkit  # here, because it takes longer to load than the rest of the module

    document = tomlkit.parse(text)
    expected = parse_toml(text, "matrix")
    for path, value in changes.items():
        table: Any = document
        for key in path[:-1]:
            table = table[key]
        table[path[-1]] = value
        expected = merge_tables(expected, _nest(path, value))
    for cuda, python in pairs:
        expected["pairs"] = [*expected["pairs"], {"cuda": cuda, "python": python}]
    after = _add_pairs(document, pairs)
    if tomllib.loads(after) != expected:
        raise RuntimeError("the edited matrix differs from the requested one")
    return after


def _split_lines(text: str) -> list[str]:
    """Split a text at newlines only, as git does: other characters that Python knows as line ends stay inside."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _add_pairs(document: Any, pairs: Sequence[tuple[str, str]]) -> str:
    """Return the text of a document with pairs added behind the last one."""
    import tomlkit
    from tomlkit.items import AoT

    if pairs and not isinstance(document["pairs"], AoT):
        for cuda, python in pairs:
            inline = tomlkit.inline_table()
            inline.update({"cuda": cuda, "python": python})
            document["pairs"].append(inline)
        pairs = ()
    text = tomlkit.dumps(document)
    if not pairs:
        return text
    # Not by tomlkit, for which the comment of the table that follows belongs to the last pair.
    lines = _split_lines(text)
    end = max(number for number, line in enumerate(lines) if _PAIRS_HEADER.match(line)) + 1
    for number, line in enumerate(lines[end:], end + 1):
        if line.lstrip().startswith("["):
            break
        if line.strip() and not line.lstrip().startswith("#"):
            end = number
    newline = "\r\n" if lines[end - 1].endswith("\r\n") else "\n"
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += newline
    added = [
        f"{line}{newline}"
        for cuda, python in pairs
        for line in ("", "[[pairs]]", f'cuda = "{cuda}"', f'python = "{python}"')
    ]
    return "".join([*lines[:end], *added, *lines[end:]])


def _nest(path: Path, value: str) -> dict[str, Any]:
    nested: Any = value
    for key in reversed(path):
        nested = {key: nested}
    return dict(nested)
