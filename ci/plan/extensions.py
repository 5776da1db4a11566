"""Decide how a PyG extension gets into an environment: wheel, compiled from source, or not.

Planning and `updates` both decide here, so that a build does what `latest` announces.
"""

from dataclasses import dataclass

from ci.config.pins import ExtensionPin
from ci.config.sources import Sources, fill_placeholders
from ci.index.wheels import Page, Wheel, find_wheel


@dataclass(frozen=True)
class Compile:
    """An extension to compile from the source on the package index, and why: no wheel fits."""

    requirement: str
    reason: str


@dataclass(frozen=True)
class Missing:
    """Why the environment cannot have an extension: no wheel fits, and there is no source."""

    reason: str


def pyg_local_version(torch: str, tag: str) -> str:
    """Return the local version label of PyG's wheels for a torch and the tag of a CUDA version.

    >>> pyg_local_version("2.11.0", "cu128")
    'pt211cu128'
    """
    return f"pt{''.join(torch.split('.')[:2])}{tag}"


def pyg_page_address(sources: Sources, torch: str, tag: str) -> str | None:
    """Return the address of PyG's page of wheels for a torch, None if the sources have none."""
    template = sources.wheels.pyg
    return fill_placeholders(template, torch=torch, tag=tag) if template else None


def resolve_extension(
    name: str, pin: ExtensionPin, page: Page | None, *, torch: str, tag: str, python: str, glibc: str
) -> Wheel | Compile | Missing:
    """Decide how an extension gets into the environment of a torch, CUDA tag, Python and glibc.

    `page` is PyG's page for that torch, None if the sources have none. A page that could not be read has no wheels.
    """
    if page is None:
        reason = "the sources have no page of PyG wheels"
    elif page.problem:
        reason = f"the page of PyG wheels could not be read: {page.problem}"
    else:
        wheel = find_wheel(page, name, pin.version, pyg_local_version(torch, tag), python, glibc)
        if wheel:
            return wheel
        abi = f"cp{python.replace('.', '')}"
        reason = f"no {abi} wheel on the PyG page for torch {torch}+{tag}"
    if pin.sdist:
        return Compile(f"{name}=={pin.version}", reason)
    return Missing(f"{reason}, and no source is on the package index")
