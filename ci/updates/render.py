"""Render outdated pins and their impact on cells as text and JSON."""

import json
from collections.abc import Sequence

from ci.updates.feasibility import UpdateContext
from ci.updates.model import CellImpact, OutdatedPin, Upgrade


def render_text(context: UpdateContext, outdated: Sequence[OutdatedPin]) -> str:
    """Render for people: each pin with its upgrades, then the indexes that could not be read."""
    unread = [response.error for response in context.index_cache.unread()]
    width = max(len(pin.name) for pin in outdated)
    lines = [f"{'':{width}}  {'pinned':10} {'newest':10} bump takes"]
    for pin in outdated:
        why = "" if pin.problem in unread else f": {pin.problem}"  # those are listed at the end
        takes = f"not known{why}" if pin.problem else pin.takes or "-"
        line = f"{pin.name:{width}}  {pin.pinned or '-':10} {pin.newest or '?':10} {takes}"
        lines.append(f"{line}  ({pin.note})" if pin.note else line)
        for upgrade in pin.offers:
            lines += [f"    {line}" for line in _upgrade_lines(context, upgrade)]
    lines += [f"not read: {error}" for error in unread]
    return "\n".join(lines) + "\n"


def render_json(context: UpdateContext, outdated: Sequence[OutdatedPin]) -> str:
    """Render as JSON: the fields of `OutdatedPin`, and the indexes that could not be read."""
    unread = [
        {"address": response.address, "problem": response.problem}
        for response in context.index_cache.unread()
    ]
    data = {
        "sources": context.inputs.sources_name,
        "findings": [pin.model_dump(mode="json") for pin in outdated],
        "unread": unread,
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def impact_lines(context: UpdateContext, impacts: Sequence[CellImpact]) -> list[str]:
    """Render impacts for people, a line for each group of cells."""
    lines: list[str] = []
    for impact in impacts:
        by_state: dict[str, list[str]] = {}
        for name, state in impact.extensions.items():
            by_state.setdefault(state, []).append(name)
        details = [*impact.why, *(f"{state}: {', '.join(names)}" for state, names in by_state.items())]
        parts = [abbreviate_cells(context, impact.cells), impact.state]
        lines.append(": ".join([*parts, "; ".join(details)] if details else parts))
    return lines


def abbreviate_cells(context: UpdateContext, ids: Sequence[str]) -> str:
    """Abbreviate the ids of cells of one pair: `cpu-py3.13-*`, `cpu-py3.13-{devel,runtime}`."""
    pair = "-".join(ids[0].split("-")[:2])
    targets = [cell_id.removeprefix(f"{pair}-") for cell_id in ids]
    if len(targets) == len(context.matrix.targets):
        return f"{pair}-*"
    return f"{pair}-{targets[0]}" if len(targets) == 1 else f"{pair}-{{{','.join(targets)}}}"


def _upgrade_lines(context: UpdateContext, upgrade: Upgrade) -> list[str]:
    goes_with = ", ".join(f"{name} {version}" for name, version in upgrade.goes_with.items())
    heading = f"{upgrade.version}{f' with {goes_with}' if goes_with else ''}"
    if not upgrade.effects and not upgrade.facts:
        return [f"{heading}: no cell changes"]
    return [heading, *(f"  {line}" for line in (*upgrade.facts, *impact_lines(context, upgrade.effects)))]
