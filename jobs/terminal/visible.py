"""Text from outside on a terminal: what a task wrote, ids, messages. It is shown and never obeyed.

A terminal acts on control characters (C0, DEL, C1, and what follows ESC): it moves, clears, renames its window,
answers as if somebody had typed. Unicode's format characters turn the order of what is read around (bidirectional
overrides), or hide text. Here they become the text of their escapes, `\\x1b` or `\\u202e`.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Final

# Categories Cc, Cf (those without a shape of their own), Cs, Zl and Zp, without the tab and without the joiners U+200C
# and U+200D, which Persian, Hindi and composed emoji are written with.
_ACTING: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)


def visible(text: str, *, lines: bool = True) -> str:
    """The text with control and format characters as their escapes; tabs stay, and with `lines` the ends of lines."""
    if text.isascii() and text.isprintable():
        return text
    if lines:
        text = text.replace("\r\n", "\n")
    return _ACTING.sub(lambda one: one[0] if one[0] == "\n" and lines else _escape(one[0]), text)


def in_json(text: str) -> str:
    """JSON with the same characters as JSON's own escapes: the same value, also on a terminal."""
    return text if text.isascii() else _ACTING.sub(lambda one: json.dumps(one[0])[1:-1], text)


class Decoder:
    """Bytes that come in pieces as visible text; what is not UTF-8 is shown as `\\xff`."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def text(self, piece: bytes, *, last: bool = False) -> str:
        """The text of a piece; a character that is not complete yet is kept for the next."""
        return visible(self._decoder.decode(piece, last))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii") if ord(character) > 127 else f"\\x{ord(character):02x}"
