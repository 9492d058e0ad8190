"""What a person sees: Pulumi's words and symbols."""

import io

import pytest

from local.engine.codec import UNKNOWN, Secret
from local.engine.digest import changed, counts
from local.engine.display import Display, duration, output_lines, summary_lines
from local.engine.goal import Diagnostic, Op, Step
from local.engine.state import Resource

URN = "urn:pulumi:s::p::azure-native:batch:Pool::pool"
POOL = Resource(URN, "azure-native:batch:Pool", True)
PROVIDER = Resource("urn:pulumi:s::p::pulumi:providers:x::d", "pulumi:providers:x", True)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def shown(work, preview=False):
    out, clock = io.StringIO(), Clock()
    work(Display(out, preview=preview, clock=clock), clock)
    return out.getvalue().splitlines()


def test_a_step_says_when_it_begins_and_how_long_it_took():
    def work(display, clock):
        step = Step(Op.CREATE, URN, None, POOL)
        display.begin(step)
        clock.now += 3.4
        display.done(step)

    assert shown(work) == [
        " +  azure-native:batch:Pool  pool  creating",
        " +  azure-native:batch:Pool  pool  created (3.4s)",
    ]


@pytest.mark.parametrize(
    "delete_first, words",
    [
        (False, "will be replaced: the new one is created first, then the old one is deleted"),
        (True, "will be replaced: the old one is deleted first, then the new one is created"),
    ],
)
def test_a_replacement_is_said_in_words(delete_first, words):
    diff = {"startTask.commandLine": "update-replace"}
    step = Step(Op.REPLACE, URN, POOL, POOL, diff, ["startTask"], delete_first)
    lines = shown(lambda display, clock: display.done(step), preview=True)
    assert lines == [f"+-  azure-native:batch:Pool  pool  replace  [diff: ~startTask]; {words}"]


def test_a_preview_says_what_would_be_done_and_names_the_changes():
    step = Step(Op.UPDATE, URN, POOL, POOL, {"a": "add", "b": "delete", "c.d": "add", "c.e": "delete"})
    lines = shown(lambda display, clock: display.done(step), preview=True)
    assert lines == [" ~  azure-native:batch:Pool  pool  update  [diff: +a,-b,~c]"]


def test_what_stays_the_same_and_providers_are_not_shown():
    def work(display, clock):
        display.done(Step(Op.SAME, URN, POOL, POOL))
        display.done(Step(Op.CREATE, PROVIDER.urn, None, PROVIDER))

    assert shown(work) == []


def test_a_failure_and_what_is_said_name_the_resource():
    def work(display, clock):
        step = Step(Op.CREATE, URN, None, POOL)
        display.begin(step)
        display.failed(step)
        display.note(Diagnostic("error", URN, "its text comes at the end, once"))
        display.note(Diagnostic("error", "", "this one's, too"))
        display.note(Diagnostic("warning", URN, "first\nsecond"))
        display.note(Diagnostic("info", "", "printed"))

    assert shown(work)[1:] == [
        " +  azure-native:batch:Pool  pool  **creating failed** (0.0s)",
        "    azure-native:batch:Pool  pool  1 error",
        "    1 error",
        "    azure-native:batch:Pool  pool  warning: first",
        "    azure-native:batch:Pool  pool  second",
        "    printed",
    ]


@pytest.mark.parametrize(
    "summary, preview, lines",
    [
        ({"create": 12, "same": 5}, False, ["    + 12 created", "    5 unchanged"]),
        ({"create": 12}, True, ["    + 12 to create"]),
        ({"same": 5}, False, ["    5 unchanged"]),
        ({}, False, ["    0 unchanged"]),
        (
            {"create": 1, "replace": 2, "update": 3, "delete": 4, "same": 5},
            False,
            [
                "    + 1 created",
                "    ~ 3 updated",
                "    +-2 replaced",
                "    - 4 deleted",
                "    10 changes. 5 unchanged",
            ],
        ),
    ],
)
def test_the_summary_counts(summary, preview, lines):
    assert summary_lines(summary, preview) == lines


def test_the_last_lines():
    def work(display, clock):
        errors = [Diagnostic("error", URN, "quota")]
        display.finish({"same": 1}, ({}, {"a": 1}), errors, 72.3, False)

    assert shown(work) == [
        "Diagnostics:",
        "  azure-native:batch:Pool (pool):",
        "    error: quota",
        "",
        "Outputs:",
        "  + a: 1",
        "",
        "Resources:",
        "    1 unchanged",
        "",
        "Duration: 1m12s",
    ]


def test_outputs_hide_secrets_and_unknowns():
    lines = output_lines({"s": Secret(1)}, {"s": Secret(2), "u": UNKNOWN, "l": [UNKNOWN]})
    assert lines == ["  + l: [unknown]", '  ~ s: "[secret]" => "[secret]"', "  + u: [unknown]"]


def test_durations():
    assert (duration(3.44), duration(125)) == ("3.4s", "2m5s")


def test_a_replacement_counts_once_and_a_late_deletion_by_itself():
    halves = [Step(op, URN, POOL, POOL) for op in (Op.REPLACE, Op.CREATE_REPLACEMENT, Op.DELETE_REPLACED)]
    assert counts(halves) == {"replace": 1}
    assert counts(halves[2:]) == {"delete-replaced": 1} and changed({"delete-replaced": 1})
    assert counts([Step(Op.CREATE, PROVIDER.urn, None, PROVIDER)]) == {} and not changed({"same": 3, "read": 1})
