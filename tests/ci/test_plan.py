"""A preview's document becomes a plan, and a plan a comment: every kind of change in words, no secret, no markup."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ci.plans import comment, plan
from ci.plans.plan import Action, Plan
from ci.program import PipelineError
from tests.ci.digests import (
    POOL,
    RAN,
    REGISTRY,
    ROLE,
    SECRET,
    STORAGE,
    digest,
    replaced_pool,
    role_inputs,
    step,
    violation,
)

OPERATOR = "6aaa78f1-f7de-44ca-8722-c64a23943cae"
SUBMITTER = "48e5e92e-a480-4e71-aa9c-2778f4c13781"
CANARY = "canary-9f3kQ7zR1x"


def read(*steps: dict[str, Any], events: list[dict[str, Any]] | None = None, code: int = 0, **more: Any) -> Plan:
    return plan.read("dev", code, digest(*steps, **more), [RAN] if events is None else events)


def text_of(*steps: dict[str, Any], **more: Any) -> str:
    return comment.pull_request([read(*steps, **more)])


# -- what the steps of a resource come to ------------------------------------------------------------------------------

STEPS = {
    ("create",): Action.CREATE,
    ("import",): Action.CREATE,
    ("update",): Action.UPDATE,
    ("delete",): Action.DELETE,
    ("create-replacement", "replace", "delete-replaced"): Action.REPLACE,
    ("delete-replaced", "replace", "create-replacement"): Action.REPLACE,
    ("import-replacement", "replace"): Action.REPLACE,
    ("delete-replaced",): Action.DELETE,
    ("delete", "create"): Action.MISSING,
    ("refresh", "update"): Action.UPDATE,
    ("update", "update"): Action.UPDATE,
    ("something-new",): Action.OTHER,
    ("update", "something-new"): Action.OTHER,
    ("same",): None,
    ("refresh", "same"): None,
    ("read",): None,
    ("remove-pending-replace",): None,
}


@pytest.mark.parametrize("operations", STEPS, ids=", ".join)
def test_every_operation_of_the_engine_has_its_word(operations: tuple[str, ...]) -> None:
    steps = [step(op, STORAGE, "storage", {"accountName": "a"}, {"accountName": "a"}) for op in operations]
    found = [change.action for change in read(*steps).changes]
    assert found == ([] if STEPS[operations] is None else [STEPS[operations]])


def test_an_operation_that_nobody_here_knows_is_shown_with_pulumis_own_word() -> None:
    assert "`something-new`" in text_of(step("something-new", STORAGE, "storage", {}, {}))


def test_components_providers_and_the_stack_itself_are_no_changes_in_azure() -> None:
    component = step("create", "batch-platform:Pool", "pool", new={}, new_more={"custom": False})
    provider = step("create", "pulumi:providers:azure-native", "default_3_29_0", new={})
    stack = step("update", "pulumi:pulumi:Stack", "azure-batch-platform-dev", {}, {})
    assert read(component, provider, stack).changes == ()


def test_the_order_of_the_steps_of_different_resources_changes_nothing() -> None:
    steps = [*replaced_pool(), step("create", ROLE, "x", new=role_inputs(SUBMITTER)), step("delete", STORAGE, "s", {})]
    assert read(*steps) == read(*steps[3:], *steps[:3])


# -- what a reviewer reads ---------------------------------------------------------------------------------------------


def test_a_replaced_pool_is_a_new_generation_with_its_reasons_and_what_to_do_first() -> None:
    text = text_of(*replaced_pool())
    assert "**1 replaced**" in text
    assert "**new generation** of `pool`: `default-aaaaaaaaaaaa` → `default-bbbbbbbbbbbb`" in text
    assert "the new one is made first, then the old one is deleted" in text
    assert "because of `vmSize`: `Standard_D2ads_v5` → `Standard_D4ads_v5`" in text
    assert "`python -m jobs pools drain default-aaaaaaaaaaaa --stack dev`" in text


def test_a_pool_that_goes_before_its_successor_is_told_so() -> None:
    text = text_of(*reversed(replaced_pool()))
    assert "the old pool is deleted **first**" in text


def test_a_pool_that_is_added_and_one_that_is_taken_away_are_told() -> None:
    text = text_of(
        step("create", POOL, "pool-big", new={"poolName": "big-cccccccccccc"}),
        step("delete", POOL, "pool-old", {"poolName": "old-dddddddddddd"}),
    )
    assert "**new pool** `big-cccccccccccc`" in text
    assert "pool `old-dddddddddddd` is **deleted**" in text
    assert "`python -m jobs pools drain old-dddddddddddd --stack dev`" in text


def test_a_pool_beside_one_of_its_name_is_a_new_generation() -> None:
    stack = step("same", "pulumi:pulumi:Stack", "s", {}, {}, old_more={"outputs": {"pools": {"default": {"id": "x"}}}})
    text = text_of(stack, step("create", POOL, "pool-default-new", new={"poolName": "default-cccccccccccc"}))
    assert "**new generation** `default-cccccccccccc` of pool `default`" in text
    assert "**new pool** `big-cccccccccccc`" in text_of(
        stack, step("create", POOL, "b", new={"poolName": "big-cccccccccccc"})
    )


def test_a_new_generation_whose_older_one_goes_says_nothing_of_what_stays() -> None:
    stack = step("same", "pulumi:pulumi:Stack", "s", {}, {}, old_more={"outputs": {"pools": {"default": {"id": "x"}}}})
    new = step("create", POOL, "pool-default-new", new={"poolName": "default-cccccccccccc"})
    old = step("delete", POOL, "pool-default-old", {"poolName": "default-dddddddddddd"})
    assert "new jobs go to it, those there are stay." in text_of(stack, new)
    assert "of pool `default`; new jobs go to it." in text_of(stack, new, old)


def test_what_a_policy_refuses_is_told_once_on_one_line() -> None:
    failed = [{"severity": "error", "message": "error: preview failed"}]
    refused = violation("rule", "what it wants.\nbatch:Pool 'x': what is wrong.\n")
    text = text_of(diagnostics=failed, events=[refused, RAN])
    assert "`what it wants. batch:Pool 'x': what is wrong.`" in text and "preview failed" not in text
    assert "error: preview failed" in text_of(diagnostics=failed)


def test_a_pool_whose_name_only_up_will_know_says_so() -> None:
    assert f"**new pool** `{plan.NOT_KNOWN_YET}`" in text_of(step("create", POOL, "p", new={"poolName": plan.UNKNOWN}))


def test_roles_are_given_and_taken_away_by_name_scope_and_principal() -> None:
    text = text_of(
        step("create", ROLE, "submit", new=role_inputs(SUBMITTER)),
        step("delete", ROLE, "operate", role_inputs(OPERATOR)),
    )
    assert (
        "**gives** `Azure Batch Job Submitter` on `resourceGroups/rg-abp-dev/batchAccounts/abpdev1` for `Group` "
        "`99999999-2222-3333-4444-555555555555` (`submit`)" in text
    )
    assert "**takes away** `Azure Batch Data Contributor`" in text


def test_a_role_that_changes_shows_what_it_was_and_what_it_becomes() -> None:
    old, new = role_inputs(SUBMITTER), role_inputs(OPERATOR)
    steps = [step(op, ROLE, "who", old, new) for op in ("create-replacement", "replace", "delete-replaced")]
    assert re.search(r"\*\*changes\*\* `who`: `Azure Batch Job Submitter`.* becomes `Azure Batch Data", text_of(*steps))


def test_a_role_that_is_in_no_table_is_shown_by_its_id() -> None:
    unknown = "00000000-1111-2222-3333-444444444444"
    assert unknown in text_of(step("create", ROLE, "r", new=role_inputs(unknown)))


@pytest.mark.parametrize("kind", plan.LOST_WITH)
@pytest.mark.parametrize("operation", ["delete", "replace"])
def test_what_no_later_up_brings_back_is_a_data_loss(kind: str, operation: str) -> None:
    module, _, name = kind.partition(":")
    steps = [
        step(operation, f"azure-native:{module}/v20240701:{name}", "thing", {}, {} if operation == "replace" else None)
    ]
    text = text_of(*steps)
    assert "[!CAUTION]" in text and "Data would be lost" in text
    assert plan.LOST_WITH[kind] in text


def test_what_is_only_forgotten_is_no_data_loss() -> None:
    text = text_of(step("delete", STORAGE, "storage", {}, old_more={"retainOnDelete": True}))
    assert "Data would be lost" not in text
    assert "Azure keeps it" in text


def test_a_change_that_keeps_everything_tells_of_no_loss() -> None:
    text = text_of(step("update", STORAGE, "storage", {"tags": {}}, {"tags": {"a": "b"}}))
    assert "Data would be lost" not in text


def test_deleting_something_protected_is_told_as_refused() -> None:
    text = text_of(step("delete", REGISTRY, "registry", {}, old_more={"protect": True}), code=1)
    assert "Pulumi refuses this: protected resources would be deleted" in text


def test_losing_the_protection_alone_is_told() -> None:
    text = text_of(step("same", STORAGE, "storage", {}, {}, old_more={"protect": True}))
    assert "**No longer protected**" in text and "`storage`" in text


def test_policies_that_refuse_come_first_and_those_that_tell_later() -> None:
    events = [
        violation("pool-images-by-digest", "batch:Pool 'pool': a tag. Next step: a digest."),
        violation("pool-on-nodes-that-last", "ends in 100 days", "advisory"),
        RAN,
    ]
    text = text_of(*replaced_pool(), events=events, code=5)
    assert text.index("Refused by a policy") < text.index("**Pools**") < text.index("Told by a policy")
    assert "`pool-images-by-digest` on `batch:Pool pool`" in text
    assert "Policies (`azure-batch-platform`): 1 refused, 1 told." in text


def test_an_excepted_violation_refuses_nothing() -> None:
    excepted = violation("rule", "message")
    excepted["policyEvent"]["exceptions"] = [{"id": "EXC-1", "reason": "because"}]
    assert read(events=[excepted, RAN]).ok


def test_without_a_policy_pack_the_comment_does_not_pretend_that_one_ran() -> None:
    assert "**no policy pack ran.**" in text_of(events=[])
    assert "all rules of `azure-batch-platform` are kept" in text_of(events=[RAN])


def test_a_failed_preview_says_so_with_its_errors() -> None:
    told = {"severity": "error", "message": "<{%fg 1%}>error<{%reset%}>: Pulumi.dev.yaml: prefix: got 'X'"}
    found = read(code=255, diagnostics=[told])
    text = comment.pull_request([found])
    assert not found.ok
    assert "**The preview failed** (exit code 255)" in text
    assert "error: Pulumi.dev.yaml: prefix: got 'X'" in text and "<{%" not in text


def test_a_failed_preview_does_not_say_that_all_rules_are_kept() -> None:
    text = text_of(events=[{"summaryEvent": {"PolicyPacks": {"azure-batch-platform|local|/somewhere": ""}}}], code=1)
    assert "Policies (`azure-batch-platform`): nothing is refused up to where the preview failed." in text


def test_no_changes_are_told_in_three_words() -> None:
    assert "### Stack `dev`: nothing changes" in text_of()


def test_the_golden_difference_is_a_diff_that_can_be_opened() -> None:
    found = plan.read("dev", 0, digest(), [RAN], ["--- a", "+++ b", "@@ -1 +1 @@", "-old", "+new"])
    text = comment.pull_request([found])
    assert "<details><summary>Golden preview of <code>dev</code>: 2 lines differ</summary>" in text
    assert "```diff\n--- a\n+++ b" in text


def test_values_are_those_of_azure_where_a_refresh_found_other_ones() -> None:
    refreshed = step("update", STORAGE, "s", {"tags": {"a": "1"}}, {"tags": {"a": "2"}}, detailedDiff={})
    healed = step(
        "update",
        STORAGE,
        "s",
        {"tags": {"a": "2"}},
        {"tags": {"a": "1"}},
        detailedDiff={"tags.a": {"kind": "update", "inputDiff": True}},
    )
    (change,) = read(refreshed, healed).changes
    assert [(one.path, one.old, one.new) for one in change.differences] == [("tags.a", "2", "1")]


PATHS = {
    "a": ("a",),
    "a.b.c": ("a", "b", "c"),
    "a[0].b": ("a", 0, "b"),
    'tags["x.y"].z': ("tags", "x.y", "z"),
    '["odd"][3]': ("odd", 3),
}


@pytest.mark.parametrize("path", PATHS)
def test_property_paths_are_read_as_pulumi_writes_them(path: str) -> None:
    assert plan.path_parts(path) == PATHS[path]


# -- secrets -----------------------------------------------------------------------------------------------------------


def updated(path: str, old: Any, new: Any, **more: Any) -> str:
    diff = {path: {"kind": "update", "inputDiff": True}}
    return text_of(step("update", STORAGE, "s", old, new, detailedDiff=diff, **more))


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"
HOLDERS: dict[str, tuple[str, Any]] = {
    "a marked value": ("value", {"value": SECRET}),
    "below a marked value": ("value.deep", {"value": {**SECRET, "plaintext": CANARY}}),
    "a password by its name": ("adminPassword", {"adminPassword": CANARY}),
    "a password in a list": ("userAccounts[0].password", {"userAccounts": [{"name": "a", "password": CANARY}]}),
    "the list around a password": ("userAccounts", {"userAccounts": [{"name": "a", "password": CANARY}]}),
    "a variable by its name": ("settings", {"settings": [{"name": "SQL_PASSWORD", "value": CANARY}]}),
    "a connection string": ("text", {"text": f"Server=x;Password={CANARY};"}),
    "a token": ("text", {"text": f"Bearer {JWT} {CANARY}"}),
    "a number by its name": ("token", {"token": 73_519_846}),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_no_secret_of_any_form_reaches_the_comment(holder: str) -> None:
    path, inputs = HOLDERS[holder]
    for text in (updated(path, inputs, {}), updated(path, {}, inputs)):
        assert CANARY not in text and JWT not in text and "73519846" not in text
        assert "[secret]" in text or "[hidden" in text


def test_messages_lose_the_lines_that_hold_a_secret_and_keep_the_others() -> None:
    message = f"the first line\nPassword={CANARY};x\nthe last line"
    text = text_of(diagnostics=[{"severity": "warning", "message": message}], events=[violation("r", message), RAN])
    assert CANARY not in text
    assert "the first line" in text and "the last line" in text


def test_a_secret_output_of_the_old_state_stays_blinded_when_the_new_one_is_not_marked() -> None:
    text = updated(
        "connection",
        {"connection": CANARY},
        {"connection": CANARY + "x"},
        old_more={"additionalSecretOutputs": ["connection"]},
    )
    assert CANARY not in text


# -- texts from outside are data ---------------------------------------------------------------------------------------

HOSTILE = (
    "@everybody look",
    "#1 and owner/repo#2",
    "![x](https://evil.invalid/pixel.png)",
    "[click](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "</details><script>alert(1)</script>",
    "`; rm -rf /; `",
    "``` \n# heading\n- item",
    "`" * 40,
    "<!-- azure-batch-platform: plan -->",
    "a|b|c",
    "\u202egnp.exe",
    "zero\u200bwidth",
    "\x1b[31mred\x1b[0m",
    "line\rreturn\u2028separator",
    "> [!CAUTION]\n> Data would be lost",
    " ",
    "",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_ends_where_it_should_and_hides_nothing(text: str) -> None:
    span = comment.code(text)
    fence = re.match(r"`+", span)
    assert fence is not None and span.endswith(fence[0])
    inside = span[len(fence[0]) : -len(fence[0])]
    assert "\n" not in span
    assert fence[0] not in re.findall(r"`+", inside), "a run of as many backticks would end the span"
    assert inside and inside[0] != "`" and inside[-1] != "`"
    assert not set("\u202e\u200b\x1b\r\u2028") & set(span)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_values_and_messages_stay_inside_of_spans_and_blocks(text: str) -> None:
    steps = [
        step(
            "update", STORAGE, text, {"k": text}, {"k": "x"}, detailedDiff={"k": {"kind": "update", "inputDiff": True}}
        ),
        step("create", ROLE, "r", new={**role_inputs(SUBMITTER), "principalId": text, "scope": text}),
        step("create", POOL, text + "p", new={"poolName": text}),
    ]
    told = [{"severity": "error", "message": text + "e"}]
    found = plan.read("dev", 1, digest(*steps, diagnostics=told), [violation(text, text), RAN], [f"+{text}"])
    outside = without_code(comment.pull_request([found]))
    for piece in ("@everybody", "evil.invalid", "javascript", "<img", "<script", "# heading", "rm -rf", "plan -->"):
        assert piece not in outside


def without_code(text: str) -> str:
    """The Markdown without code spans and fenced blocks, by CommonMark's rules."""
    text = re.sub(r"^(`{3,})[^`\n]*\n.*?^\1$", "", text, flags=re.M | re.S)
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


def test_a_fenced_block_is_not_ended_by_what_is_in_it() -> None:
    shown = comment.block(["before", "````", "after"], "diff").splitlines()
    assert shown[0] == "`````diff" and shown[-1] == "`````"


# -- length ------------------------------------------------------------------------------------------------------------


def large(count: int) -> Plan:
    steps = [
        step("create", f"azure-native:kind{number % 20}:Thing", f"thing-{number}", new={"x": "y" * 300})
        for number in range(count)
    ]
    keys = [f"k{number}" for number in range(12)]
    old, new = dict.fromkeys(keys, "a" * 500), dict.fromkeys(keys, "b" * 500)
    changed = [step("update", STORAGE, f"s{number}", old, new, diffReasons=keys) for number in range(count)]
    return plan.read(
        "dev", 0, digest(*steps, *changed, *replaced_pool()), [RAN], [f"+line {n}" for n in range(5 * count)]
    )


@pytest.mark.parametrize("count", [1, 30, 400, 1000])
def test_a_plan_of_any_length_fits_and_counts_what_it_leaves_out(count: int) -> None:
    text = comment.pull_request([large(count)] * 2)
    assert len(text.encode()) <= comment.COMMENT_LIMIT
    assert "**new generation**" in text
    assert "cut: the rest" not in text
    if count >= 400:
        shown = text.count("`thing-") // 2
        assert f"… and {count - shown} more: " in text
        assert "more properties" in text or shown == 0


def test_what_fits_nowhere_is_cut_at_a_line_and_says_so() -> None:
    text = comment.pull_request([large(4)] * 300)
    assert len(text.encode()) <= comment.COMMENT_LIMIT
    assert text.endswith("**This is cut: the rest does not fit into a comment.**\n")


def test_a_summary_has_more_room_than_a_comment() -> None:
    plans = [large(400)]
    assert len(comment.pull_request(plans, comment.SUMMARY_LIMIT)) > len(comment.pull_request(plans))


# -- documents that are none -------------------------------------------------------------------------------------------


def test_what_follows_the_document_is_not_read() -> None:
    assert plan.read_digest('{"steps": []}\n{"error": "again"}') == {"steps": []}


@pytest.mark.parametrize("text", ["not json", "[1]", '"text"', f"Password={CANARY}"])
def test_other_output_than_a_document_is_refused_without_repeating_secrets(text: str) -> None:
    with pytest.raises(PipelineError, match="next:  ") as caught:
        plan.read_digest(text)
    assert CANARY not in str(caught.value)


def test_events_are_read_up_to_the_line_that_a_killed_cli_did_not_finish() -> None:
    assert plan.read_events('{"a": 1}\n[2]\n{"policyEv') == [{"a": 1}]


def test_a_plan_can_be_compared_and_printed() -> None:
    found = read(*replaced_pool())
    assert found == read(*replaced_pool())
    assert CANARY not in repr(found) and json.dumps(comment.headline(found))
