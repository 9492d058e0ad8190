"""The formula language: types, operators, functions, results, and what is refused, each with its place."""

from __future__ import annotations

from datetime import timedelta

import pytest

from local.azure.batch.autoscale.evaluation import check, evaluate
from local.azure.batch.autoscale.syntax import FormulaError
from tests.azure.batch.autoscale.histories import NOW, pool


def value(expression: str) -> str:
    """What a variable of that value is written as."""
    found = evaluate(f"x = {expression};", pool({"ActiveTasks": [1, 2, 3]}, dedicated=4, spot=2), NOW)
    assert found.error is None, found.error
    return found.results.rpartition(";x=")[2]


VALUES = [
    ("1 + 2 * 3 - 4 / 2", "5"),
    ("(1 + 2) * 3", "9"),
    ("8 - 4 - 2", "2"),
    ("-2 * -3", "6"),
    ("!0 + !5", "1"),
    ("2 > 1 && 1 >= 1 || 0", "1"),
    ("1 < 2 == 1", "1"),
    ("3 != 3", "0"),
    ("0 ? 1 : 2 ? 3 : 4", "3"),
    ("1 ? 0 : 1 ? 3 : 4", "0"),
    ("29 / 30 * 100", "96.6667"),
    ("1000000 * 10", "1e+07"),
    (".5 + 1.5e1", "15.5"),
    ("avg(1, vec(2, 3), 6)", "3"),
    ("sum(vec(1, 2, 3)) + sum()", "6"),
    ("min(3, 1, 2) * 10 + max(vec(3, 9), 4)", "19"),
    ("len(1, vec(2, 3)) + len()", "3"),
    ("range(vec(4, 9, 6))", "5"),
    ("norm(3, 4)", "5"),
    ("std(2, 4, 4, 4, 5, 5, 7, 9)", "2.13809"),
    ("val(vec(5, 6, 7), 1)", "6"),
    ("percentile(vec(10, 20, 30, 40), 50)", "20"),
    ("percentile(vec(10, 20, 30, 40), 100)", "40"),
    ("lg(8)", "3"),
    ("lg(vec(8))", "[3]"),
    ("log(100) + ln(1)", "2"),
    ("ceil(1.2) + floor(1.8)", "3"),
    ("round(2.5)", "3"),
    ("round(-2.5)", "-3"),
    ("round(vec(1.4, 1.6))", "[1,2]"),
    ("vec(1, 2) * 2 + vec(10, 20)", "[12,24]"),
    ("rand() >= 0 && rand() < 1", "1"),
    ('"abc" < "abd"', "1"),
    ('"a // no comment"', "a // no comment"),
    ("time()", "2026-11-26T15:30:00.000Z"),
    ('time("")', "2026-11-26T15:30:00.000Z"),
    ('time("2026-11-26T16:30:00+01:00") == time()', "1"),
    ('time("Thu, 26 Nov 2026 15:30:00 GMT") == time()', "1"),
    ('time("2026-11-26")', "2026-11-26T00:00:00.000Z"),
    ("time().weekday * 100 + time().hour", "415"),
    ("time().year + time().month + time().day + time().minute + time().second", "2093"),
    ("(time() + 6 * TimeInterval_Hour).hour", "21"),
    ("(time() + -16 * TimeInterval_Hour).weekday", "3"),
    ("time() - (time() + TimeInterval_Day) == -TimeInterval_Day", "1"),
    ("TimeInterval_Week / 7 == TimeInterval_Day", "1"),
    ("TimeInterval_Minute * 90 - TimeInterval_Zero", "01:30:00"),
    ("2 * TimeInterval_Day + TimeInterval_Millisecond", "2.00:00:00.0010000"),
    ("TimeInterval_100ns * 10 == TimeInterval_Microsecond", "1"),
    ("$TargetDedicatedNodes + $TargetLowPriorityNodes", "6"),
    ("$TargetDedicated + $TargetLowPriority", "6"),
    ("$ActiveTasks * 2", "6"),
    ("taskcompletion", "taskcompletion"),
]


@pytest.mark.parametrize(("expression", "expected"), VALUES)
def test_an_expression_has_its_value(expression: str, expected: str) -> None:
    assert value(expression) == expected


def test_results_are_written_as_recorded_ones() -> None:
    """A public answer of the service: the pool's three, then own variables, `$` first; six significant digits."""
    formula = """
        // Half of what is there while nothing waits.
        cappedPoolSize = 3;
        $samples = 29 / 30 * 100; $tasks = 0;
        $targetVMs = $tasks > 0 ? $tasks : max(0, $TargetDedicatedNodes / 2);
        $TargetDedicatedNodes = max(1, min($targetVMs, cappedPoolSize));
        $NodeDeallocationOption = taskcompletion
    """
    found = evaluate(formula, pool(dedicated=1), NOW)
    assert found.results == (
        "$TargetDedicatedNodes=1;$TargetLowPriorityNodes=0;$NodeDeallocationOption=taskcompletion;"
        "$samples=96.6667;$targetVMs=0.5;$tasks=0;cappedPoolSize=3"
    )
    assert (found.target_dedicated, found.target_low_priority, found.option) == (1, 0, "taskcompletion")


def test_what_a_formula_does_not_set_stays() -> None:
    found = evaluate("$TargetDedicatedNodes = 3", pool(dedicated=1, spot=7), NOW)
    assert (found.target_dedicated, found.target_low_priority, found.option) == (3, 7, "requeue")


def test_a_fraction_of_a_node_is_cut_off() -> None:
    assert evaluate("$TargetDedicatedNodes = 3.8;", pool(), NOW).target_dedicated == 3


def test_the_full_name_counts_before_its_alias() -> None:
    found = evaluate("$TargetDedicated = 9; $TargetDedicatedNodes = 2; $TargetLowPriority = 5;", pool(), NOW)
    assert (found.target_dedicated, found.target_low_priority) == (2, 5)


def test_stop_keeps_what_was_set_before_it() -> None:
    found = evaluate("$TargetDedicatedNodes = 4; stop(); $TargetDedicatedNodes = 9;", pool(dedicated=1), NOW)
    assert (found.error, found.target_dedicated) == (None, 4)


def test_the_side_that_is_not_chosen_is_not_evaluated() -> None:
    for formula in ("x = 1 ? 2 : 1 / 0;", "x = 0 && 1 / 0;", "x = 1 || 1 / 0;"):
        assert evaluate(formula, pool(), NOW).error is None


REFUSED = [
    ("$something_useless", "Line 1, Col 1: Undefined symbol: $something_useless"),
    ("x = 1;\n  y = x +\n    $z;", "Line 3, Col 5: Undefined symbol: $z"),
    ("x = y; y = 1;", "Line 1, Col 5: Undefined symbol: y"),
    ("x = 1 ? 2 : z;", "Line 1, Col 13: Undefined symbol: z"),
    ("x = median(1, 2);", "Line 1, Col 5: Undefined function: median"),
    ("x = $ActiveTasks.GetMean(1);", "Line 1, Col 18: Undefined method: GetMean"),
    ("x = $CPUPercent.GetSample(1);", "Line 1, Col 5: $CPUPercent is not measured by the local Azure"),
    ("x = time().GetSample(1);", "Line 1, Col 12: GetSample is a method of the service's variables only"),
    ("$ActiveTasks = 1;", "Line 1, Col 1: $ActiveTasks cannot be assigned"),
    ("taskcompletion = 1;", "Line 1, Col 1: taskcompletion cannot be assigned"),
    ("x = 1 / 0;", "Line 1, Col 7: Division by zero"),
    ("x = time() + 1;", "Line 1, Col 12: Operator + does not take a timestamp and a double"),
    ("x = time() - TimeInterval_Hour;", "Line 1, Col 12: Operator - does not take a timestamp and a timeinterval"),
    ('x = "a" + "b";', "Line 1, Col 9: Operator + does not take a string and a string"),
    ("x = vec(1) == vec(1);", "Line 1, Col 12: Operator == does not take a doubleVec and a doubleVec"),
    ("x = vec(1, 2) + vec(1);", "Line 1, Col 15: Operator + takes lists of one length, got 2 and 1 numbers"),
    ("x = -time();", "Line 1, Col 5: Operator - does not take a timestamp"),
    ("x = time() ? 1 : 2;", "Line 1, Col 12: A test takes a double, not a timestamp"),
    ("x = time().century;", "Line 1, Col 12: A timestamp has no member century"),
    ("x = (1).hour;", "Line 1, Col 9: A double has no member hour"),
    ('x = time("soon");', 'Line 1, Col 5: "soon" is no time'),
    ("x = avg();", "Line 1, Col 5: Function avg got no number"),
    ("x = max(time());", "Line 1, Col 5: Function max takes doubles and lists of doubles, not a timestamp"),
    ("x = lg(0);", "Line 1, Col 5: Function lg has no value for 0"),
    ("x = val(vec(1), 1);", "Line 1, Col 5: Function val: there is no element 1 in a list of 1"),
    ("x = val(1, 1);", "Line 1, Col 5: Function val takes a doubleVec and a double, not double, double"),
    ("x = percentile(vec(1), 101);", "Line 1, Col 5: Function percentile takes 0 to 100, not 101"),
    ("x = rand(1);", "Line 1, Col 5: Function rand takes no values, got 1"),
    ("x = 1e300 * 1e300;", "Line 1, Col 11: The value is not a finite number"),
    ("x = time() + TimeInterval_Year * 1e9;", "Line 1, Col 12: Operator + gives a value that is too large"),
    ("$TargetDedicatedNodes = -1;", "Line 1, Col 1: $TargetDedicatedNodes takes a number of nodes, not -1"),
    ("$TargetDedicatedNodes = vec(1);", "Line 1, Col 1: $TargetDedicatedNodes takes a double, not a doubleVec"),
    ("$NodeDeallocationOption = 1;", "Line 1, Col 1: $NodeDeallocationOption takes requeue, terminate"),
]


@pytest.mark.parametrize(("formula", "words"), REFUSED)
def test_what_cannot_be_evaluated_is_named_with_its_place(formula: str, words: str) -> None:
    found = evaluate(formula, pool(dedicated=2), NOW)
    assert found.error is not None and str(found.error).startswith(words), found.error
    assert found.error.code == "AutoScalingFormulaEvaluationError"
    assert found.results == "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"


MISWRITTEN = [
    ("x = ;", "Line 1, Col 5: Expected a value, found ;"),
    ("x = (1", "Line 1, Col 7: Expected ')', found the end of the formula"),
    ("x = 1 2;", "Line 1, Col 7: Expected ';', found 2"),
    ("x = 1\n\ny = 2;", "Line 3, Col 1: Expected ';', found y"),
    ("x = min(1, );", "Line 1, Col 12: Expected a value, found )"),
    ("1 = x;", "Line 1, Col 3: Expected ';', found ="),
    ("x = 1 ? 2;", "Line 1, Col 10: Expected ':', found ;"),
    ("x = 5 % 2;", "Line 1, Col 7: Unexpected character '%'"),
    ("x = [1, 2];", "Line 1, Col 5: Lists in brackets are only how results are written"),
    ('x = "open;\n";', "Line 1, Col 5: A text has no closing quote on its line"),
    ("x = time().;", "Line 1, Col 12: Expected a member after '.', found ;"),
    ("/* block */ x = 1;", "Line 1, Col 1: Expected a value, found /"),
    (f"x = {'(' * 81}1{')' * 81};", "Line 1, Col 85: More than 80 expressions inside one another"),
    (f"x = {'-' * 11}1;", "Line 1, Col 15: More than 10 signs before a value"),
    ("x = 1;" * 101, "Line 1, Col 601: The formula has more than 100 statements"),
]


@pytest.mark.parametrize(("formula", "words"), MISWRITTEN, ids=lambda text: text[:20])
def test_a_miswritten_formula_is_refused_with_its_place(formula: str, words: str) -> None:
    with pytest.raises(FormulaError) as caught:
        check(formula)
    assert str(caught.value).startswith(words), caught.value
    assert caught.value.code == "AutoScalingFormulaSyntaxError"


def test_a_formula_of_more_than_8_kib_is_too_long() -> None:
    with pytest.raises(FormulaError) as caught:
        check(f"x = 1;{' ' * 8192}")
    assert caught.value.code == "AutoScalingFormulaTooLong"


def test_a_sum_as_long_as_a_formula_is_added_up() -> None:
    assert evaluate(f"x = {'+'.join('1' * 4000)};", pool(), NOW).results.endswith("x=4000")


def test_the_deepest_formula_is_evaluated() -> None:
    inside = "1"
    for _ in range(11):
        inside = f"0 || 1 && 1 == 1 < 2 + 1 * ({inside})"
    assert evaluate(f"x = {inside};", pool(), NOW).error is None


def test_time_may_lie_far_from_now() -> None:
    found = evaluate("x = time() + TimeInterval_Day * 365;", pool(), NOW - timedelta(days=100))
    assert found.results.endswith("x=2027-08-18T15:30:00.000Z")
