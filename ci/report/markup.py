"""Build HTML and SVG elements; text that is not `Markup` is escaped in an element."""

from collections.abc import Iterable

from ci.util.escape import escape_html

# Elements without an end tag in HTML.
_VOID = frozenset({"br", "input", "link", "meta"})


class Markup(str):
    """Text that is already markup, and is not escaped again."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element; children that are not Markup are escaped.

    Attributes that are None are left out. In names of attributes a trailing underscore is dropped, other underscores
    become hyphens.

    >>> element("p", "a < b", class_="note", data_n=1)
    '<p class="note" data-n="1">a &lt; b</p>'
    """
    text = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escape_html(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{text}>")
    return Markup(f"<{name}{text}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Markup:
    """Concatenate children, escaping those that are not Markup."""
    return Markup("".join(child if isinstance(child, Markup) else escape_html(child) for child in children))


def raw_element(name: str, text: str, **attributes: str | None) -> Markup:
    """Return a `style` or `script` element, whose text is not escaped.

    Raises:
        ValueError: the text could end the element, or hide its end.
    """
    if "</" in text or "<!--" in text:
        raise ValueError(f"this text cannot stand in <{name}>")
    return Markup(f"{element(name, **attributes).removesuffix(f'</{name}>')}{text}</{name}>")
