"""What runtime images are made for: what is taken out of them, and what they then still promise."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ci.config.fields import CheckName, DebianName, Word
from ci.util.model import FrozenModel

# A path below the environment: `*` and `?` are anything but `/`, `**` is any number of folders.
_PART = r"[A-Za-z0-9_.*?+-]*[A-Za-z0-9_*?+-][A-Za-z0-9_.*?+-]*"  # not `.` nor `..`
Pattern = Annotated[str, StringConstraints(pattern=rf"^{_PART}(/{_PART})*$", max_length=120)]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f\x85\u2028\u2029]{1,200}$")]


class Rule(FrozenModel):
    """Files that a variant may take out of the environment, and the promises that would notice if it took too much."""

    takes: Line
    remove: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    unless: tuple[Pattern, ...] = ()
    noticed_by: Annotated[tuple[CheckName, ...], Field(min_length=1)]


class Variant(FrozenModel):
    """A way to make runtime images; without anything said, nothing is taken out and everything is promised.

    `apt` are the Debian packages of the runtime base, None for those of `[apt]`; `toolkit` tells whether it has the
    compiler of CUDA, `conda` whether conda makes the environment, or uv alone. `gives_up` are the promises that its
    images do not make, each with the reason.
    """

    note: Line | None = None
    rules: tuple[Word, ...] = ()
    strip: Literal["no", "debug", "unneeded"] = "no"
    apt: tuple[DebianName, ...] | None = None
    toolkit: bool = True
    conda: bool = True
    waives: dict[CheckName, Line] = Field(default_factory=dict)


def told(variants: Mapping[str, Variant], rules: Mapping[str, Rule], promises: Sequence[CheckName]) -> str:
    """Return for people what each variant takes out of runtime images, what it keeps of the promises, what it gives up.

    The promises are those of the matrix; an image makes those of them that are for its target.
    """
    lines: list[str] = []
    for name, variant in variants.items():
        lines.append(f"{name}: {variant.note}" if variant.note else name)
        lines += [f"  takes out {rule}: {rules[rule].takes}" for rule in variant.rules]
        if variant.strip != "no":
            parts = "all but what loading needs" if variant.strip == "unneeded" else "debugging symbols"
            lines.append(f"  strips libraries of {parts}")
        if variant.apt is not None:
            lines.append(f"  has of Debian's packages only {', '.join(variant.apt)}")
        if not variant.toolkit:
            lines.append("  has no CUDA toolkit")
        if not variant.conda:
            lines.append("  has no conda: uv installs the interpreter and all packages")
        kept = [promise for promise in promises if promise not in variant.waives]
        lines.append(f"  promises, where they are for its target, {', '.join(kept)}")
        lines += [f"  does not promise {promise}: {reason}" for promise, reason in variant.waives.items()]
    return "\n".join(lines) + "\n"
