"""The decisions: every situation, and what the program's options add."""

import itertools

import pytest

from local.engine.errors import EngineBug, ProgramError
from local.engine.goal import Diff, Goal, Op
from local.engine.plan import OPS, Situation, check_protection, deletion_order, plan, with_ignored
from local.engine.state import Resource, ordered

URN = "urn:pulumi:s::p::t::"


def goal(**given):
    return Goal(**{"urn": URN + "a", "type": "t", "custom": True, "inputs": {"a": 1}, "provider": "x::1", **given})


def old(**given):
    return Resource(
        **{"urn": URN + "a", "type": "t", "custom": True, "id": "i", "inputs": {"a": 1}, "provider": "x::1", **given}
    )


def needing(name, *others, **given):
    return Resource(URN + name, "t", False, dependencies=[URN + other for other in others], **given)


def test_every_situation_that_can_be_has_one_answer():
    for exists, changed, replace in itertools.product([False, True], repeat=3):
        possible = (exists or not changed) and (changed or not replace)
        assert (Situation(exists=exists, changed=changed, replace=replace) in OPS) is possible


@pytest.mark.parametrize(
    "prior, opinion, op",
    [
        (None, None, Op.CREATE),
        (old(), Diff({}), Op.SAME),
        (old(), None, Op.SAME),
        (old(inputs={"a": 2}), None, Op.UPDATE),
        (old(), Diff({"a": "update"}), Op.UPDATE),
        (old(), Diff({"a": "update-replace"}, ["a"]), Op.REPLACE),
        (old(init_errors=["x"]), Diff({}), Op.UPDATE),
        (old(taint=True), Diff({}), Op.REPLACE),
        (old(provider="x::2"), Diff({}), Op.REPLACE),
        (old(provider="y::2"), Diff({}), Op.SAME),
    ],
)
def test_the_step_follows_from_prior_state_and_the_providers_opinion(prior, opinion, op):
    assert plan(goal(), prior, {"a": 1}, opinion).op is op


def test_replace_on_changes_turns_an_update_into_a_replacement():
    decision = plan(goal(replace_on_changes=["a[*].b"]), old(), {}, Diff({"a[0].b.c": "update", "z": "add"}))
    assert decision.op is Op.REPLACE and decision.replaces == ["a"]
    assert decision.changes == {"a[0].b.c": "update-replace", "z": "add"}


@pytest.mark.parametrize(
    "asked, provider, expected", [(None, True, True), (None, False, False), (False, True, False), (True, False, True)]
)
def test_the_program_decides_which_of_old_and_new_comes_first(asked, provider, expected):
    opinion = Diff({"a": "update-replace"}, ["a"], provider)
    assert plan(goal(delete_before_replace=asked), old(), {}, opinion).delete_first is expected


def test_a_protected_resource_is_not_replaced():
    with pytest.raises(ProgramError, match="marked for protection"):
        plan(goal(), old(protect=True), {}, Diff({"a": "update-replace"}, ["a"]))
    assert [r.name for r, _ in check_protection([old(protect=True), old(protect=True, delete=True)])] == ["a"]


def test_ignored_changes_keep_the_old_inputs():
    assert with_ignored({"a": 2, "b": 2}, old(inputs={"a": 1}), ["a"]) == {"a": 1, "b": 2}
    assert with_ignored({"a": 2}, None, ["a"]) == {"a": 2}


def test_what_is_needed_comes_first_and_ties_go_by_urn():
    resources = [needing("c", "b"), needing("a", "c"), needing("b"), needing("aa")]
    assert [r.name for r in ordered(resources)] == ["aa", "b", "c", "a"]
    assert ordered(list(reversed(resources))) == ordered(resources)


def test_a_circle_is_a_bug_that_names_those_in_it():
    with pytest.raises(EngineBug, match=r"circle: .*::a, .*::b"):
        ordered([needing("a", "b"), needing("b", "a"), needing("c")])


def test_dependents_are_deleted_before_what_they_need():
    replaced, live, user = needing("a", delete=True), needing("a"), needing("b", "a")
    order = deletion_order([live, replaced, user])
    assert [(r.name, r.delete) for r, _ in order] == [("b", False), ("a", True), ("a", False)]
    assert [before for r, before in order if r is live] == [[user]]
    assert [before for r, before in order if r is replaced] == [[]]  # the user needs the live one only
