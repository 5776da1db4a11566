"""HTML and SVG from text: whatever is no markup already is escaped when it becomes part of an element."""

from collections.abc import Iterable
from html import escape

# Elements that have no end tag in HTML.
_VOID = frozenset({"br", "input", "link", "meta"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element; a child that is no Markup is escaped, an attribute that is None is left out.

    A trailing underscore of an attribute's name is dropped, others become hyphens.

    >>> element("p", "a < b", class_="note", data_n=1)
    '<p class="note" data-n="1">a &lt; b</p>'
    """
    told = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{safe(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{joined(children)}</{name}>")


def joined(children: Iterable[str]) -> Markup:
    """Put pieces together, those escaped that are no Markup."""
    return Markup("".join(child if isinstance(child, Markup) else safe(child) for child in children))


def safe(text: str) -> str:
    """Return text as it may stand in an element or an attribute.

    Controls, halves of surrogates and marks that turn the direction of writing become the replacement character:
    they could make the page say something else than the record.
    """
    return escape("".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text))


def raw(name: str, text: str, **attributes: str | None) -> Markup:
    """Return a `style` or `script` element, whose text HTML reads as it stands.

    Raises:
        ValueError: the text could end the element or hide its end.
    """
    if "</" in text or "<!--" in text:
        raise ValueError(f"this text cannot stand in <{name}>")
    return Markup(f"{element(name, **attributes).removesuffix(f'</{name}>')}{text}</{name}>")
