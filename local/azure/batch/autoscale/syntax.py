"""From the text of a formula to its statements, each part with its line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 8192
MAX_STATEMENTS: Final = 100
MAX_DEPTH: Final = 80
MAX_CHAIN: Final = 10
"""Expressions inside one another, and signs before or members behind a value: bounds of ours, so that no text exhausts
the stack."""

SYNTAX, EVALUATION, TOO_FEW_SAMPLES, TOO_LONG = (
    "AutoScalingFormulaSyntaxError",
    "AutoScalingFormulaEvaluationError",
    "InsufficientSampleData",
    "AutoScalingFormulaTooLong",
)
"""The service's codes. Recorded: the evaluation error (in an answer of 200); documented: the other three."""


@dataclass(frozen=True)
class Position:
    """A place in the formula; both count from 1."""

    line: int
    column: int


class FormulaError(Exception):
    """What is wrong with a formula, and where. `str()` is the service's form: "Line 1, Col 1: Undefined symbol: $x"."""

    def __init__(self, at: Position, reason: str, code: str = EVALUATION) -> None:
        super().__init__(f"Line {at.line}, Col {at.column}: {reason}")
        self.at = at
        self.reason = reason
        self.code = code


@dataclass(frozen=True)
class Number:
    """A number."""

    at: Position
    value: float


@dataclass(frozen=True)
class Text:
    """A text in double quotes."""

    at: Position
    value: str


@dataclass(frozen=True)
class Name:
    """A variable, a constant such as `TimeInterval_Minute`, or a word such as `taskcompletion`."""

    at: Position
    name: str


@dataclass(frozen=True)
class Unary:
    """`-` or `!` before a value."""

    at: Position
    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary:
    """Two values and the operator between them."""

    at: Position
    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Conditional:
    """`test ? then : otherwise`; only the chosen side is evaluated."""

    at: Position
    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Call:
    """A function, or, with a target, a method of it."""

    at: Position
    name: str
    arguments: tuple[Expression, ...]
    target: Expression | None = None


@dataclass(frozen=True)
class Member:
    """`time().hour`."""

    at: Position
    name: str
    target: Expression


Expression = Number | Text | Name | Unary | Binary | Conditional | Call | Member


@dataclass(frozen=True)
class Statement:
    """`name = value;`, or a value alone (`name` is empty then)."""

    at: Position
    name: str
    value: Expression


def children(node: Expression) -> tuple[Expression, ...]:
    """The expressions that a node is made of."""
    match node:
        case Unary(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case Conditional(test=test, then=then, otherwise=otherwise):
            return (test, then, otherwise)
        case Call(arguments=arguments, target=target):
            return arguments if target is None else (target, *arguments)
        case Member(target=target):
            return (target,)
        case _:
            return ()


def walk(node: Expression) -> Iterator[Expression]:
    """The node and all that it is made of, in the order of the text. Not recursive: a sum may have 4,000 parts."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack += reversed(children(current))


@dataclass(frozen=True)
class _Token:
    at: Position
    kind: str  # number, text, name, operator, end
    text: str


_TOKEN: Final = re.compile(
    r"(?P<blank>[ \t\r\n]+|//[^\n]*)"
    r"|(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)"
    r'|(?P<text>"[^"\n]*")'
    r"|(?P<name>\$?[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>&&|\|\||<=|>=|==|!=|[-+*/<>!?:;=(),.])"
)
_LEVELS: Final[tuple[tuple[str, ...], ...]] = (
    ("||",),
    ("&&",),
    ("==", "!="),
    ("<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "/"),
)
"""Binary operators, the loosest first: C's order, which the examples need [guess: the document gives none]."""

_PRECEDENCE: Final = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}


def parse(formula: str) -> list[Statement]:
    """The statements. Raises FormulaError."""
    if len(formula.encode()) > MAX_LENGTH:
        reason = f"The formula has {len(formula.encode())} bytes; the most are {MAX_LENGTH}"
        raise FormulaError(Position(1, 1), reason, TOO_LONG)
    statements = list(_Parser(formula).statements())
    if len(statements) > MAX_STATEMENTS:
        beyond = statements[MAX_STATEMENTS]
        raise FormulaError(beyond.at, f"The formula has more than {MAX_STATEMENTS} statements", SYNTAX)
    return statements


def _tokens(formula: str) -> Iterator[_Token]:
    place, line, begin = 0, 1, 0
    while place < len(formula):
        at = Position(line, place - begin + 1)
        match = _TOKEN.match(formula, place)
        if match is None:
            raise FormulaError(at, _unreadable(formula, place), SYNTAX)
        kind, text = str(match.lastgroup), match.group()
        if kind != "blank":
            yield _Token(at, kind, text)
        if "\n" in text:
            line += text.count("\n")
            begin = place + text.rindex("\n") + 1
        place = match.end()
    yield _Token(Position(line, place - begin + 1), "end", "the end of the formula")


def _unreadable(formula: str, place: int) -> str:
    sign = formula[place]
    if sign == '"':
        return "A text has no closing quote on its line"
    if sign == "[":
        return "Lists in brackets are only how results are written: use vec(1, 2, 3)"
    return f"Unexpected character {sign!r}"


class _Parser:
    def __init__(self, formula: str) -> None:
        self._tokens = _tokens(formula)
        self._next = next(self._tokens)
        self._depth = 0

    def statements(self) -> Iterator[Statement]:
        while self._next.kind != "end":
            if not self._takes(";"):
                yield self._statement()

    def _statement(self) -> Statement:
        at, value, name = self._next.at, self._expression(), ""
        if isinstance(value, Name) and self._takes("="):
            name, value = value.name, self._expression()
        if self._next.kind != "end":
            self._expect(";")
        return Statement(at, name, value)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FormulaError(self._next.at, f"More than {MAX_DEPTH} expressions inside one another", SYNTAX)

    def _expression(self) -> Expression:
        self._deeper()
        test = self._binary(0)
        at = self._next.at
        if self._takes("?"):
            then = self._expression()
            self._expect(":")
            test = Conditional(at, test, then, self._expression())
        self._depth -= 1
        return test

    def _binary(self, level: int) -> Expression:
        left = self._unary()
        while self._next.kind == "operator" and _PRECEDENCE.get(self._next.text, -1) >= level:
            operator = self._advance()
            self._deeper()
            right = self._binary(_PRECEDENCE[operator.text] + 1)
            self._depth -= 1
            left = Binary(operator.at, operator.text, left, right)
        return left

    def _unary(self) -> Expression:
        signs = []
        while self._next.kind == "operator" and self._next.text in ("-", "!"):
            signs.append(self._advance())
            if len(signs) > MAX_CHAIN:
                raise FormulaError(signs[-1].at, f"More than {MAX_CHAIN} signs before a value", SYNTAX)
        value = self._postfix()
        for sign in reversed(signs):
            value = Unary(sign.at, sign.text, value)
        return value

    def _postfix(self) -> Expression:
        value = self._primary()
        for _ in range(MAX_CHAIN):
            if not self._takes("."):
                return value
            name = self._advance()
            if name.kind != "name":
                raise FormulaError(name.at, f"Expected a member after '.', found {name.text}", SYNTAX)
            if self._takes("("):
                value = Call(name.at, name.text, self._arguments(), value)
            else:
                value = Member(name.at, name.text, value)
        raise FormulaError(self._next.at, f"More than {MAX_CHAIN} members of one another", SYNTAX)

    def _primary(self) -> Expression:
        token = self._advance()
        match token.kind:
            case "number":
                return Number(token.at, float(token.text))
            case "text":
                return Text(token.at, token.text[1:-1])
            case "name":
                if self._takes("("):
                    return Call(token.at, token.text, self._arguments())
                return Name(token.at, token.text)
        if token.text == "(":
            value = self._expression()
            self._expect(")")
            return value
        raise FormulaError(token.at, f"Expected a value, found {token.text}", SYNTAX)

    def _arguments(self) -> tuple[Expression, ...]:
        arguments: list[Expression] = []
        if self._takes(")"):
            return ()
        while True:
            arguments.append(self._expression())
            if self._takes(")"):
                return tuple(arguments)
            self._expect(",")

    def _takes(self, operator: str) -> bool:
        if self._next.kind == "operator" and self._next.text == operator:
            self._advance()
            return True
        return False

    def _expect(self, operator: str) -> None:
        if not self._takes(operator):
            raise FormulaError(self._next.at, f"Expected '{operator}', found {self._next.text}", SYNTAX)

    def _advance(self) -> _Token:
        token = self._next
        if token.kind != "end":
            self._next = next(self._tokens)
        return token
