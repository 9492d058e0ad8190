"""A formula applied to a pool as it is: the targets it asks for, or what is wrong with it.

`check` finds what is wrong without a pool (the text, and names that nothing stands for); `evaluate` does both and
computes. Results are written as the service writes them: the three variables of the pool, then the formula's own in
alphabetical order (recorded).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from local.azure.batch.autoscale import samples, syntax
from local.azure.batch.autoscale.functions import FUNCTIONS, OF_VALUES, moment
from local.azure.batch.autoscale.samples import METRICS, UNMEASURED, Metric, TooFewSamples
from local.azure.batch.autoscale.syntax import EVALUATION, TOO_FEW_SAMPLES, Expression, FormulaError, Statement
from local.azure.batch.autoscale.values import (
    CONSTANTS,
    Option,
    Value,
    ValueProblem,
    combine,
    finite,
    kind,
    member,
    negate,
    truth,
    written,
)

DEDICATED, LOW_PRIORITY, OPTION = "$TargetDedicatedNodes", "$TargetLowPriorityNodes", "$NodeDeallocationOption"
ALIASES: Final = {"$TargetDedicated": DEDICATED, "$TargetLowPriority": LOW_PRIORITY}
"""Documented second names. Where a formula sets both, the full name's value counts."""

_READ_ONLY: Final = frozenset((*METRICS, *UNMEASURED, *CONSTANTS))
MESSAGES: Final = {
    EVALUATION: "The specified auto-scaling formula has evaluation error",
    TOO_FEW_SAMPLES: "Autoscale evaluation failed due to insufficient sample data",
    syntax.SYNTAX: "The specified auto-scaling formula has a syntax error.",
    syntax.TOO_LONG: "The specified auto-scaling formula exceeds lengths limit.",
}


@dataclass(frozen=True)
class Pool:
    """What a formula sees: the pool's targets now, and its metrics by name (with the `$`)."""

    target_dedicated: int = 0
    target_low_priority: int = 0
    metrics: Mapping[str, Metric] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What a formula asks for; with an error, the targets are the pool's own."""

    at: datetime
    target_dedicated: int
    target_low_priority: int
    option: str
    results: str
    error: FormulaError | None = None


class _Stop(Exception):
    """The formula called stop(): what it set until then counts [guess]."""


def check(formula: str) -> list[Statement]:
    """The statements of a formula without faults that can be seen in its text. Raises FormulaError."""
    statements = syntax.parse(formula)
    names = {DEDICATED, LOW_PRIORITY, OPTION, *ALIASES, *_READ_ONLY}
    for statement in statements:
        for node in syntax.walk(statement.value):
            _check_names(node, names)
        if statement.name in _READ_ONLY:
            raise FormulaError(statement.at, f"{statement.name} cannot be assigned")
        if statement.name:
            names.add(statement.name)
    return statements


def _check_names(node: Expression, known: set[str]) -> None:
    if isinstance(node, syntax.Name) and node.name not in known:
        raise FormulaError(node.at, f"Undefined symbol: {node.name}")
    if not isinstance(node, syntax.Call):
        return
    if node.target is None and node.name not in FUNCTIONS:
        raise FormulaError(node.at, f"Undefined function: {node.name}")
    if node.target is not None and node.name not in samples.METHODS:
        raise FormulaError(node.at, f"Undefined method: {node.name}")


def evaluate(formula: str, pool: Pool, now: datetime) -> Evaluation:
    """What the formula gives for the pool now; never raises for what is wrong with the formula."""
    try:
        evaluator = _Evaluator(pool, now)
        evaluator.run(check(formula))
        return evaluator.outcome()
    except FormulaError as error:
        shown = f"{DEDICATED}={pool.target_dedicated};{LOW_PRIORITY}={pool.target_low_priority};{OPTION}=requeue"
        return Evaluation(now, pool.target_dedicated, pool.target_low_priority, "requeue", shown, error)


class _Evaluator:
    def __init__(self, pool: Pool, now: datetime) -> None:
        self._pool = pool
        self._now = now
        self._random = random.Random(now.timestamp())  # noqa: S311 - the formula language's rand()
        self._own: dict[str, Value] = {}
        self._set: dict[str, tuple[Value, syntax.Position]] = {}

    def run(self, statements: list[Statement]) -> None:
        try:
            for statement in statements:
                value = self._of(statement.value)
                if statement.name in (DEDICATED, LOW_PRIORITY, OPTION, *ALIASES):
                    self._set[statement.name] = value, statement.at
                elif statement.name:
                    self._own[statement.name] = value
        except _Stop:
            pass

    def outcome(self) -> Evaluation:
        dedicated = self._target(DEDICATED, "$TargetDedicated", self._pool.target_dedicated)
        low_priority = self._target(LOW_PRIORITY, "$TargetLowPriority", self._pool.target_low_priority)
        option = self._option()
        shown = [f"{DEDICATED}={dedicated}", f"{LOW_PRIORITY}={low_priority}", f"{OPTION}={option}"]
        shown += [f"{name}={written(value)}" for name, value in sorted(self._own.items())]
        return Evaluation(self._now, dedicated, low_priority, option, ";".join(shown))

    def _target(self, name: str, alias: str, present: int) -> int:
        """A whole number of nodes: a fraction is cut off (reported by users)."""
        value, at = self._set.get(name) or self._set.get(alias) or (float(present), syntax.Position(1, 1))
        if not isinstance(value, float):
            raise FormulaError(at, f"{name} takes a double, not a {kind(value)}")
        if not 0 <= value < 2**31:  # [guess: no document says what becomes of it]
            raise FormulaError(at, f"{name} takes a number of nodes, not {written(value)}")
        return int(value)

    def _option(self) -> str:
        value, at = self._set.get(OPTION, (Option("requeue"), syntax.Position(1, 1)))
        if not isinstance(value, Option):
            raise FormulaError(at, f"{OPTION} takes requeue, terminate, taskcompletion or retaineddata")
        return value.name

    def _of(self, node: Expression) -> Value:
        try:
            value = self._compute(node)
            return finite(value) if isinstance(value, float) else value
        except ValueProblem as problem:
            raise FormulaError(node.at, str(problem)) from problem
        except TooFewSamples as problem:
            at = node.target.at if isinstance(node, syntax.Call) and node.target is not None else node.at
            raise FormulaError(at, str(problem), TOO_FEW_SAMPLES) from problem

    def _compute(self, node: Expression) -> Value:
        match node:
            case syntax.Number(value=value) | syntax.Text(value=value):
                return value
            case syntax.Name():
                return self._named(node)
            case syntax.Unary(operator=sign, operand=operand):
                return negate(sign, self._of(operand))
            case syntax.Binary():
                return self._binary(node)
            case syntax.Conditional(test=test, then=then, otherwise=otherwise):
                return self._of(then if truth(self._of(test)) else otherwise)
            case syntax.Member(name=name, target=target):
                return member(self._of(target), name)
            case syntax.Call():
                return self._call(node)

    def _binary(self, node: syntax.Binary) -> Value:
        """From the left, without recursion: `a + b + ...` may be as long as a formula."""
        chain = [node]
        while isinstance(chain[-1].left, syntax.Binary):
            chain.append(chain[-1].left)
        value = self._of(chain[-1].left)
        for part in reversed(chain):
            value = self._joined(value, part)
        return value

    def _joined(self, left: Value, node: syntax.Binary) -> Value:
        """&& and || leave their right side alone when the left one decides [guess]."""
        try:
            if node.operator in ("&&", "||"):
                decided = truth(left)
                if decided is (node.operator == "||"):
                    return float(decided)
                return float(truth(self._of(node.right)))
            return combine(left, node.operator, self._of(node.right))
        except ValueProblem as problem:
            raise FormulaError(node.at, str(problem)) from problem

    def _named(self, node: syntax.Name) -> Value:
        name = ALIASES.get(node.name, node.name)
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in self._own:
            return self._own[name]
        if name in (DEDICATED, LOW_PRIORITY, OPTION):
            value, _ = self._set.get(name) or self._set.get(node.name) or (self._present(name), None)
            return value
        return self._metric(node).value

    def _present(self, name: str) -> Value:
        if name == OPTION:
            return Option("requeue")
        return float(self._pool.target_dedicated if name == DEDICATED else self._pool.target_low_priority)

    def _metric(self, node: syntax.Name) -> Metric:
        """A metric that stands alone counts as what it is now [guess: the document uses it so and does not say]."""
        metric = self._pool.metrics.get(node.name)
        if metric is None:
            raise FormulaError(node.at, f"{node.name} is not measured by the local Azure")
        return metric

    def _call(self, node: syntax.Call) -> Value:
        if node.target is not None:
            if not isinstance(node.target, syntax.Name) or node.target.name not in (*METRICS, *UNMEASURED):
                raise FormulaError(node.at, f"{node.name} is a method of the service's variables only")
            metric = self._metric(node.target)
            return samples.call(metric, node.name, [self._of(part) for part in node.arguments], self._now)
        arguments = [self._of(part) for part in node.arguments]
        if node.name in OF_VALUES:
            return OF_VALUES[node.name](arguments)
        if node.name == "time":
            return moment(arguments, self._now)
        if arguments:
            raise ValueProblem(f"Function {node.name} takes no values, got {len(arguments)}")
        if node.name == "rand":
            return self._random.random()
        raise _Stop
