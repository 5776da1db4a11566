"""Merge the plans of several pairs into plans of all of them, with build arguments where the pairs differ.

Replaced by the values of a pair, the arguments give that pair's own plans again; pairs for which no arguments do that
are not alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ci.config.matrix import Matrix
from ci.plan.image_config import LABEL
from ci.plan.plan import Plan
from ci.plan.stages.image import ImageSpec
from ci.util.model import FrozenModel

# Arguments whose values are labels of the images, with what begins and what ends before and after the value there.
_LABELS = {
    "TORCH": ("torch", "", "+"),
    "TORCHVISION": ("torchvision", "", "+"),
    "TORCHAUDIO": ("torchaudio", "", "+"),
    "TORCHCODEC": ("torchcodec", "", "\n"),
    "NVCC_VERSION": ("toolkit-compiler", "nvcc ", "\n"),
    "ARCHS": ("archs", "", "\n"),
}
# People choose the architectures, so that they are an argument where all pairs have the same too.
_ALWAYS = ("ARCHS",)


class NotAlikeError(Exception):
    """Pairs that differ in more than the values of arguments."""


@dataclass(frozen=True)
class Argument:
    """A build argument: how a Dockerfile writes it (`${CUDA}`), and its value for each pair."""

    name: str
    form: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Return whether the pairs have different values."""
        return len(set(self.values)) > 1

    @property
    def is_whole(self) -> bool:
        """Return whether it is written as the argument itself, not as a part of it."""
        return self.form == f"${{{self.name}}}"


def list_arguments(pairs: Sequence[Sequence[Plan]], matrix: Matrix) -> tuple[Argument, ...]:
    """Return the arguments that pairs may differ in, each pair being its plans."""
    firsts = [plans[0] for plans in pairs]
    cudas = tuple(plan.cell.cuda for plan in firsts)
    found = [
        _whole("CUDA", cudas),
        Argument("CUDA", "${CUDA%.*}", tuple(cuda.rpartition(".")[0] for cuda in cudas)),
        _whole("PYTHON", tuple(plan.cell.python for plan in firsts)),
        _whole("CUDA_TAG", tuple(matrix.cuda[cuda].wheel_tag for cuda in cudas)),
    ]
    labels = [plan.spec("image", ImageSpec).all_labels for plan in firsts]
    for name, (label, before, after) in _LABELS.items():
        values = (known.get(f"{LABEL}.{label}", "").removeprefix(before) for known in labels)
        found.append(_whole(name, tuple(value.partition(after)[0] for value in values)))
    return tuple(argument for argument in found if all(argument.values))


def _whole(name: str, values: tuple[str, ...]) -> Argument:
    return Argument(name, f"${{{name}}}", values)


def merge_pairs(pairs: Sequence[Sequence[Plan]], arguments: Sequence[Argument]) -> tuple[Plan, ...]:
    """Return one plan for each target that a pair has.

    Raises:
        NotAlikeError: the pairs differ in more than arguments.
    """
    targets = dict.fromkeys(plan.cell.target for plans in pairs for plan in plans)
    merged = []
    for target in targets:
        at = [i for i, plans in enumerate(pairs) if any(plan.cell.target == target for plan in plans)]
        found = [next(plan for plan in pairs[i] if plan.cell.target == target) for i in at]
        asked = [
            replace(argument, values=tuple(argument.values[i] for i in at))
            for argument in arguments
            if argument.differs or argument.name in _ALWAYS
        ]
        merged.append(_merge_plans(found, asked))
    return tuple(merged)


def _merge_plans(plans: Sequence[Plan], arguments: Sequence[Argument]) -> Plan:
    first = plans[0]
    names = {tuple(stage.name for stage in plan.stages) for plan in plans}
    if len(names) > 1:
        raise NotAlikeError("other stages")
    stages = [
        replace(stage, spec=_merge([plan.stage(stage.name).spec for plan in plans], arguments))
        for stage in first.stages
    ]
    notes = dict.fromkeys(note for plan in plans for note in plan.notes)
    return replace(first, stages=tuple(stages), notes=tuple(notes))


def _merge(values: Sequence[Any], arguments: Sequence[Argument]) -> Any:
    """Merge the values that a part of a spec has for the pairs."""
    first = values[0]
    if len({type(value) for value in values}) > 1:
        raise NotAlikeError("values of other types")
    if isinstance(first, str):
        return merge_texts(tuple(values), arguments)
    if isinstance(first, FrozenModel):
        keys = type(first).model_fields
        update = {key: _merge([getattr(value, key) for value in values], arguments) for key in keys}
        return first.model_copy(update=update)
    if isinstance(first, tuple):
        if len({len(value) for value in values}) > 1:
            raise NotAlikeError("lists of other lengths")
        return tuple(_merge(parts, arguments) for parts in zip(*values, strict=True))
    if isinstance(first, Mapping):
        if len({tuple(value) for value in values}) > 1:
            raise NotAlikeError("tables with other keys")
        return {key: _merge([value[key] for value in values], arguments) for key in first}
    if any(value != first for value in values):
        raise NotAlikeError("other values")
    return first


def merge_texts(texts: tuple[str, ...], arguments: Sequence[Argument]) -> str:
    """Return a text with arguments that gives each of the texts.

    >>> merge_texts(("torch==2.8.0+cu128", "torch==2.8.0+cu130"), [Argument("TAG", "${TAG}", ("cu128", "cu130"))])
    'torch==2.8.0+${TAG}'

    Raises:
        NotAlikeError: there is none.
    """
    for argument in arguments:
        if argument.values == texts:
            return argument.form
    hashed = any("--hash=" in text for text in texts)
    # What only one pair has is compared with nothing: there the values themselves are found.
    if len(set(texts)) == 1 and (len(texts) > 1 or hashed):
        return texts[0]
    if hashed:
        raise NotAlikeError("other hashes")
    longest = sorted(
        (one for one in arguments if one.name not in _ALWAYS), key=lambda one: -len(one.values[0])
    )
    places, merged = [0] * len(texts), ""
    while any(place < len(text) for place, text in zip(places, texts, strict=True)):
        form, words = next(
            (
                (one.form, one.values)
                for one in longest
                if all(
                    text.startswith(value, place)
                    for text, value, place in zip(texts, one.values, places, strict=True)
                )
            ),
            ("", tuple(text[place : place + 1] for text, place in zip(texts, places, strict=True))),
        )
        if not form and len(set(words)) > 1:
            raise NotAlikeError(f"no argument for {texts[0][places[0] :][:40]!r}")
        merged += form or words[0]
        places = [place + len(word) for place, word in zip(places, words, strict=True)]
    return merged
