"""Text from outside as Markdown that shows it and does nothing else.

Names, values and messages come from a stack's state, from Azure and from whoever wrote the pull request. In a code
span or a fenced block GitHub makes no link, mention, image, HTML or reference of them; what could end the span or the
block, or be invisible, is written so that it cannot.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence


def visible(text: str) -> str:
    """The text on one line; characters that do not show, or turn what follows around, are written as escapes."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def cut(text: str, width: int) -> str:
    """At most `width` characters; what is left out is counted."""
    if len(text) <= width:
        return text
    return f"{text[:width]}… ({len(text) - width} more characters)"


def code(text: str, width: int = 200) -> str:
    """A code span of one line that holds exactly this text, cut after `width` characters."""
    shown = cut(visible(text), width) or " "
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[0] in " `" or shown[-1] in " `" else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(lines: Sequence[str], language: str = "", width: int = 300) -> str:
    """A fenced block of these lines; no line of it can end it."""
    shown = [cut(visible(line), width) for line in lines]
    fence = "`" * max(3, _longest_run("\n".join(shown)) + 1)
    return "\n".join((f"{fence}{language}", *shown, fence))


def html_code(text: str, width: int = 200) -> str:
    """As `code`, where Markdown is not read: inside `<summary>`."""
    return f"<code>{html.escape(cut(visible(text), width))}</code>"


def _longest_run(text: str) -> int:
    runs = (len(list(group)) for character, group in itertools.groupby(text) if character == "`")
    return max(runs, default=0)


def _escape(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    return named or (f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}")
