"""Escape text for each language that this module writes: the one place that knows what is special in which.

Text from outside (the output of a step, a page of an index, a user's file) goes through one of these wherever it is put
into a command, a Dockerfile, a report, a message or a terminal.
"""

import html
import re
import shlex
from collections.abc import Iterable

_NOTHING = re.compile(r"(?!)")
# What is special between double quotes of a POSIX shell, and of a Dockerfile.
_SHELL_QUOTED = re.compile(r'["\\`$]')
_DOCKERFILE_QUOTED = re.compile(r'["\\$]')
# Characters that could begin emphasis, a link, code, HTML, mathematics, a mention or a new cell of a table. They are
# written as entities: Markdown parsers disagree about backslashes in tables, but all treat entities as text.
_MARKDOWN = re.compile(r"[&<>|`\\*_\[\]~$@#!]|:(?=//)|(?<=\bwww)\.", re.IGNORECASE)
# At the beginning of a line, these begin a list, a rule or a heading.
_MARKDOWN_BEGIN = re.compile(r"^(?:[-+=]|[0-9]{1,9}(?=[.)]))")
# Characters that XML 1.0 does not allow (production 2, Char), not even as numeric entities.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escape_shell(words: Iterable[str]) -> str:
    """Return the words of a command for a POSIX shell, which takes each as it is.

    >>> escape_shell(["echo", "$(id)"])
    "echo '$(id)'"
    """
    return shlex.join(words)


def escape_shell_around(word: str, variables: re.Pattern[str]) -> str:
    """Return one word for a POSIX shell that replaces the variables that a pattern finds in it, and no others.

    >>> escape_shell_around("$HOME/${CUDA}", re.compile(r"\\$\\{CUDA\\}"))
    '"\\\\$HOME/${CUDA}"'
    """
    return f'"{_escape_around(word, variables, _SHELL_QUOTED)}"'


def escape_dockerfile(value: str, variables: re.Pattern[str] = _NOTHING) -> str:
    """Return a value of `ENV` or `LABEL` in a Dockerfile: one quoted word.

    No variables are replaced in it but those that a pattern finds.

    >>> escape_dockerfile('a "$HOME"')
    '"a \\\\"\\\\$HOME\\\\""'
    """
    return f'"{_escape_around(escape_terminal(value), variables, _DOCKERFILE_QUOTED)}"'


def _escape_around(text: str, kept: re.Pattern[str], special: re.Pattern[str]) -> str:
    """Put a backslash before each special character that is not in what `kept` finds."""
    escaped, end = "", 0
    for found in kept.finditer(text):
        escaped += special.sub(r"\\\g<0>", text[end : found.start()]) + found[0]
        end = found.end()
    return escaped + special.sub(r"\\\g<0>", text[end:])


def escape_html(text: str) -> str:
    """Return text for an element or an attribute of HTML.

    Control characters, lone surrogates and marks that change the writing direction become the replacement character:
    they could make the page show something other than the record.
    """
    return html.escape("".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text))


def escape_markdown(text: str) -> str:
    """Return text as one line of Markdown that is displayed literally.

    >>> escape_markdown("a|b"), escape_markdown("- no list")
    ('a&#124;b', '&#45; no list')
    """
    line = _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", escape_terminal(text))
    return _MARKDOWN_BEGIN.sub(lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", line)


def escape_xml(text: str) -> str:
    """Return text for a library that writes XML: it escapes markup, but not what a document must not contain.

    >>> escape_xml("\\x1b[31mred")
    '[31mred'
    """
    return _NOT_XML.sub("", text)


def escape_slack(text: str) -> str:
    """Return text for a message of Slack, whose control characters are `&`, `<` and `>` (Slack's text formatting).

    >>> escape_slack("<!channel> a & b")
    '&lt;!channel&gt; a &amp; b'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape_terminal(text: str) -> str:
    """Fold text to a single printable line, so that it can neither forge lines nor control a terminal.

    >>> escape_terminal("a\\nb\\x1b[2K")
    'a b?[2K'
    """
    folded = " ".join(text.split())
    return folded if folded.isprintable() else "".join(c if c.isprintable() else "?" for c in folded)
