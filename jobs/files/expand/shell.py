"""Values of placeholders in what a shell reads: each is quoted for the place where it stands, so that it stays data.

A placeholder outside of quotes becomes one word; inside '...' or "..." it stays a part of that text. In places where no
quoting holds (a here-document, backquotes, arithmetic, `${...}`, a comment, behind a backslash) only values of harmless
characters are taken. `{name:raw}` puts a value in as it is: then it is a part of the program.

The rules are those of the POSIX shell (Shell Command Language, 2.2 Quoting). What this module cannot follow, it treats
as a place where no quoting holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import Final

SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_@%+:,./-]*")
_SPECIAL_IN_DOUBLE: Final = re.compile(r'([\\$"`])')
_CASE: Final = re.compile(r"\bcase\b")
_NOT_QUOTED: Final = frozenset({"comment", "ansi", "backquote", "arithmetic", "parameter"})


class Context(Enum):
    """Where in a shell's text a placeholder stands."""

    WORD = "outside of quotes"
    REDIRECTED = "outside of quotes, before < or >, where a number alone would be a file descriptor"
    DOUBLE = "inside double quotes"
    SINGLE = "inside single quotes"
    VARIABLE = "right after a $, which makes a variable's name of it"
    UNQUOTABLE = "where no quoting holds"


def quoted(value: str, context: Context) -> str:
    """The value as the shell has to be given it. Raises `ValueError` where it cannot be."""
    if context is Context.SINGLE:
        return value.replace("'", "'\\''")
    if context is Context.DOUBLE:
        return _SPECIAL_IN_DOUBLE.sub(r"\\\1", value)
    if _HARMLESS.fullmatch(value) and context is not Context.REDIRECTED and (value or context is Context.UNQUOTABLE):
        return value
    if context in (Context.WORD, Context.REDIRECTED):
        return "'" + value.replace("'", "'\\''") + "'"
    raise ValueError(f"{value!r:.60} would be read as a part of the program where it stands; put it in quotes there")


def script_places(entrypoint: str | None, words: Sequence[str]) -> frozenset[int]:
    """Which words are a program that a shell reads: what follows `-c` in `[sh, -c, "..."]`."""
    start = 0
    program = entrypoint
    if program is None and words:
        program, start = words[0], 1
    if program is None or program.rpartition("/")[2] not in SHELLS:
        return frozenset()
    reads_next = False
    place = start
    while place < len(words):
        word = words[place]
        if not word.startswith(("-", "+")):
            return frozenset({place}) if reads_next else frozenset()
        if not word.startswith("--"):
            reads_next = reads_next or "c" in word
            place += word.endswith(("o", "O"))  # -o pipefail
        place += 1
    return frozenset()


@lru_cache(maxsize=1024)
def contexts(literals: tuple[str, ...]) -> tuple[Context, ...]:
    """The context of each placeholder between these pieces of a shell's text."""
    scanner = _Scanner(nested_case=any("$(" in one for one in literals) and any(map(_CASE.search, literals)))
    found = []
    for piece, after in pairwise(literals):
        scanner.read(piece)
        found.append(scanner.context(after))
    return tuple(found)


class _Scanner:
    """Follows quotes and substitutions through a shell's text."""

    def __init__(self, *, nested_case: bool) -> None:
        self._open = ["plain"]  # what is open, outermost first
        self._lost = nested_case  # `)` of a pattern cannot be told from the end of $( )
        self._escaped = False  # the last character is a backslash that escapes the next
        self._before = " "  # the character before

    def context(self, after: str) -> Context:
        """Of a placeholder that stands here, before the text `after`."""
        escaped, self._escaped = self._escaped, False
        before, self._before = self._before, "x"
        top = self._open[-1]
        if before == "$" and top in ("plain", "substitution", "group", "double"):
            return Context.VARIABLE
        if self._lost or escaped or top in _NOT_QUOTED:
            return Context.UNQUOTABLE
        if top in ("double", "single"):
            return Context.DOUBLE if top == "double" else Context.SINGLE
        return Context.REDIRECTED if after[:1] in ("<", ">") else Context.WORD

    def read(self, piece: str) -> None:
        place = 0
        while place < len(piece):
            place += self._step(piece, place)

    def _step(self, piece: str, place: int) -> int:
        """Take one character or sign; how many characters it has."""
        character, top = piece[place], self._open[-1]
        before, self._before = self._before, character
        if self._escaped:
            self._escaped = False
            self._before = "x"
            return 1
        if top == "single":
            if character == "'":
                self._open.pop()
            return 1
        if top == "comment":
            if character == "\n":
                self._open.pop()
            return 1
        if character == "\\":
            self._escaped = True
            return 1
        if top == "ansi":
            if character == "'":
                self._open.pop()
            return 1
        if top == "backquote":
            if character == "`":
                self._open.pop()
            return 1
        return self._substitution(piece, place) or self._sign(piece, place, before)

    def _substitution(self, piece: str, place: int) -> int:
        for sign, name in (("$((", "arithmetic"), ("$(", "substitution"), ("${", "parameter"), ("`", "backquote")):
            if piece.startswith(sign, place):
                self._open.append(name)
                self._before = " "
                return len(sign)
        return 0

    def _sign(self, piece: str, place: int, before: str) -> int:
        character, top = piece[place], self._open[-1]
        if top == "double":
            if character == '"':
                self._open.pop()
        elif top in ("arithmetic", "parameter"):
            return self._in_expression(piece, place)
        elif character == '"':
            self._open.append("double")
        elif character == "'":
            self._open.append("ansi" if before == "$" else "single")
        elif character == "(":
            self._open.append("group")
            self._before = " "
        elif character == ")" and len(self._open) > 1:
            self._open.pop()
        elif character == "#" and before in " \t\n;&|()":
            self._open.append("comment")
        elif piece.startswith("<<<", place):
            return 3
        elif piece.startswith("<<", place):
            self._lost = True  # a here-document: where it ends is said further on
        return 1

    def _in_expression(self, piece: str, place: int) -> int:
        character, top = piece[place], self._open[-1]
        if character in "\"'(":
            self._lost = True
        elif top == "arithmetic" and piece.startswith("))", place):
            self._open.pop()
            return 2
        elif top == "parameter" and character == "}":
            self._open.pop()
        return 1
