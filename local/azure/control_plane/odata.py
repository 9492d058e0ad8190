"""`$filter` as ARM and Graph take it: a small part of OData 4, parsed once and applied to plain values.

Comparisons of a property with a text (`eq`, `ne`), `startswith`, `endswith`, `contains`, `substringof`, lambdas of the
form `names/any(c:c eq 'x')`, functions without a property (`atScope()`, `assignedTo('id')`), `and`, `or`, `not` and
parentheses. Texts and names compare without case, as these services do.
Grammar: https://docs.oasis-open.org/odata/odata/v4.01/odata-v4.01-part2-url-conventions.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Any]
Predicate = Callable[[Item], bool]
_TOKEN = re.compile(r"\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<word>[\w/.@$-]+)|(?P<mark>[(),:]))")
_TEXT_FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": lambda value, part: part in value,
}


class InvalidFilter(ValueError):
    """The filter cannot be read, or names what is not there; the text says which part."""


@dataclass(frozen=True)
class Names:
    """What a filter may name: properties, and functions without a property (name -> whether it takes a text)."""

    properties: Collection[str]
    functions: Mapping[str, bool] | None = None


def parse(text: str, names: Names) -> Predicate:
    """The filter as a function of an item, whose keys are the property names in lower case.

    A function such as `assignedTo('x')` is asked of the item as `item["assignedto()"]`, a callable of the text.
    """
    return _Parser(text, names).parse()


class _Parser:
    def __init__(self, text: str, names: Names) -> None:
        self._names = names
        self._properties = {name.lower() for name in names.properties}
        self._functions = {name.lower(): takes for name, takes in (names.functions or {}).items()}
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise InvalidFilter(f"'{text[at:].strip()}' cannot be read")
            kind = str(match.lastgroup)
            self._tokens.append((kind, match[kind].replace("''", "'") if kind == "text" else match[kind]))
            at = match.end()

    def parse(self) -> Predicate:
        found = self._or()
        if self._tokens:
            raise InvalidFilter(f"'{self._tokens[0][1]}' is not expected")
        return found

    def _or(self) -> Predicate:
        parts = [self._and()]
        while self._takes_word("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) for part in parts)

    def _and(self) -> Predicate:
        parts = [self._not()]
        while self._takes_word("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda item: all(part(item) for part in parts)

    def _not(self) -> Predicate:
        if self._takes_word("not"):
            inner = self._not()
            return lambda item: not inner(item)
        if self._takes("mark", "("):
            inner = self._or()
            self._expect("mark", ")")
            return inner
        return self._term()

    def _term(self) -> Predicate:
        word = self._expect("word")
        if not self._tokens or self._tokens[0] != ("mark", "("):
            return self._comparison(word)
        self._expect("mark", "(")
        function = word.lower()
        if function in _TEXT_FUNCTIONS:
            name = self._property(self._expect("word"))
            self._expect("mark", ",")
            part = self._expect("text").lower()
            test = _TEXT_FUNCTIONS[function]
            found: Predicate = lambda item: any(test(value, part) for value in _texts(item, name))  # noqa: E731
        elif function == "substringof":
            part = self._expect("text").lower()
            self._expect("mark", ",")
            name = self._property(self._expect("word"))
            found = lambda item: any(part in value for value in _texts(item, name))  # noqa: E731
        elif function.endswith("/any"):
            return self._lambda(self._property(word[: -len("/any")]))
        elif function in self._functions:
            argument = self._expect("text") if self._functions[function] else None
            found = lambda item: bool(item[f"{function}()"](argument))  # noqa: E731
        else:
            raise InvalidFilter(f"the function '{word}' is not known")
        self._expect("mark", ")")
        if self._takes_word("eq") and self._expect("word").lower() == "false":  # `startswith(name, 'x') eq false`
            return lambda item: not found(item)
        return found

    def _lambda(self, name: str) -> Predicate:
        """`c:c eq 'x'`, the parenthesis is open."""
        variable = self._expect("word")
        self._expect("mark", ":")
        if self._expect("word") != variable or not self._takes_word("eq"):
            raise InvalidFilter(f"expected '{variable} eq' after '{variable}:'")
        wanted = self._expect("text").lower()
        self._expect("mark", ")")
        return lambda item: wanted in _texts(item, name)

    def _comparison(self, word: str) -> Predicate:
        name, operator = self._property(word), self._expect("word").lower()
        if operator not in ("eq", "ne") or not self._tokens:
            raise InvalidFilter(f"'{word} {operator}' is no comparison; expected eq or ne and a value")
        _, value = self._tokens.pop(0)
        wanted = value.lower()
        return lambda item: (wanted in _texts(item, name)) is (operator == "eq")

    def _property(self, word: str) -> str:
        if word.lower() not in self._properties:
            raise InvalidFilter(f"'{word}' is not a property; known: {', '.join(sorted(self._names.properties))}")
        return word.lower()

    def _takes(self, kind: str, value: str) -> bool:
        if self._tokens and self._tokens[0][0] == kind and self._tokens[0][1].lower() == value:
            self._tokens.pop(0)
            return True
        return False

    def _takes_word(self, word: str) -> bool:
        return self._takes("word", word)

    def _expect(self, kind: str, value: str | None = None) -> str:
        if not self._tokens or self._tokens[0][0] != kind or value not in (None, self._tokens[0][1]):
            found = f"'{self._tokens[0][1]}'" if self._tokens else "its end"
            wanted = {"text": "a text in quotes", "word": "a name", "mark": f"'{value}'"}[kind]
            raise InvalidFilter(f"expected {wanted}, found {found}")
        return self._tokens.pop(0)[1]


def _texts(item: Item, name: str) -> list[str]:
    """A property's value, or the values of a list, in lower case; None is the word null."""
    value = item.get(name)
    values = value if isinstance(value, list | tuple | set) else [value]
    return ["null" if one is None else str(one).lower() for one in values]
