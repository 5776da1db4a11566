"""Define variants of runtime images: the files they leave out, the checks they waive."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from ci.config.fields import CheckName, DebianName, Word
from ci.config.names import Reason
from ci.util.model import FrozenModel

# Paths in the environment: `*` and `?` match anything but `/`, `**` matches any number of folders.
_PART = r"[A-Za-z0-9_.*?+-]*[A-Za-z0-9_*?+-][A-Za-z0-9_.*?+-]*"  # not `.` nor `..`
_MOST_FOLDERS = (
    3  # `**` in a pattern: with each, matching a path takes as many times longer as the path has folders
)


def _bound_folders(pattern: str) -> str:
    if pattern.count("**") > _MOST_FOLDERS:
        raise ValueError(f"has more than {_MOST_FOLDERS} times **")
    return pattern


PathPattern = Annotated[
    str, StringConstraints(pattern=rf"^{_PART}(/{_PART})*$", max_length=120), AfterValidator(_bound_folders)
]


class Rule(FrozenModel):
    """Files that a variant may remove from the environment.

    `takes` describes them, `noticed_by` are the checks that would fail if the rule removed too much. With `only_tests`
    the rule takes what it matches only from folders that hold a package's own tests, not from libraries such as
    `django.test` that are called so.
    """

    takes: Reason
    remove: Annotated[tuple[PathPattern, ...], Field(min_length=1)]
    unless: tuple[PathPattern, ...] = ()
    only_tests: bool = False
    noticed_by: Annotated[tuple[CheckName, ...], Field(min_length=1)]


class Variant(FrozenModel):
    """A way to make runtime images; by default nothing is removed and no check is waived.

    `apt` are the Debian packages of the runtime base, None for those of `[apt]`. `toolkit` adds CUDA's compiler.
    `conda` makes the environment with conda instead of uv alone. `waives` are the checks that its images need not
    pass, each with the reason.
    """

    renamed: ClassVar[Mapping[str, str]] = {"gives_up": "waives"}

    note: Reason | None = None
    rules: tuple[Word, ...] = ()
    strip: Literal["no", "debug", "unneeded"] = "no"
    apt: tuple[DebianName, ...] | None = None
    toolkit: bool = True
    conda: bool = True
    waives: dict[CheckName, Reason] = Field(default_factory=dict)


def describe_variants(
    variants: Mapping[str, Variant], rules: Mapping[str, Rule], checks: Sequence[CheckName]
) -> str:
    """Describe what each variant removes from runtime images, and which checks it keeps.

    `checks` are those of the matrix; an image is checked by those that apply to its target.
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
        kept = [check for check in checks if check not in variant.waives]
        lines.append(f"  checks, where they apply to its target: {', '.join(kept)}")
        lines += [f"  waives {check}: {reason}" for check, reason in variant.waives.items()]
    return "\n".join(lines) + "\n"
