"""Generations: a plain `up` loses no pool that takes jobs, and a preview says what changed and what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from infra.pools import generations
from infra.pools.generations import Deployed, judge
from infra.settings.problems import SettingsError
from tests.infra.recording import Run, run_program, stack_config

OLD, OLDER, NEW, STRANGE = "a" * 12, "b" * 12, "c" * 12, "d" * 12
BEFORE = {"vm_size": "Standard_D2ads_v5", "the start task": "sha256:" + "a" * 12}
AFTER = {"vm_size": "Standard_D4ads_v5", "the start task": "sha256:" + "b" * 12}
LAST = Deployed(OLD, (OLDER,), BEFORE)

CASES = {
    "nothing changed": ((OLD, BEFORE, [OLDER], [], LAST), [], []),
    "a first deployment": ((NEW, AFTER, [], [], None), [], []),
    "a first deployment with keep": ((NEW, AFTER, [OLD], [], None), [], ["nothing of this pool is deployed"]),
    "a change without a word": ((NEW, AFTER, [OLDER], [], LAST), [f"keep: [{OLD}]"], []),
    "a change with keep": ((NEW, AFTER, [OLD, OLDER], [], LAST), [], [f"pools drain default-{OLD}"]),
    "a change with discard": ((NEW, AFTER, [OLDER], [OLD], LAST), [], [f"default-{OLD} is deleted"]),
    "the kept one goes": ((OLD, BEFORE, [], [], LAST), [], [f"default-{OLDER} is in keep no more"]),
    "a hash that nothing has": ((OLD, BEFORE, [OLDER, STRANGE], [], LAST), [STRANGE], []),
    "a change of mind": ((OLDER, BEFORE, [OLD, OLDER], [], LAST), [], [f"pools drain default-{OLD}"]),
    "discard of yesterday": ((NEW, AFTER, [OLDER], [STRANGE], LAST), [f"keep: [{OLD}]"], []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_keep_and_discard_mean(case: str) -> None:
    arguments, problems, warnings = CASES[case]
    verdict = judge("default", *arguments, stack="dev")
    for words, found in ((problems, verdict.problems), (warnings, verdict.warnings)):
        assert len(found) == len(words)
        assert all(word in str(one) for word, one in zip(words, found, strict=True))


def test_the_refusal_names_what_changed_and_both_ways_on() -> None:
    (problem,) = judge("default", NEW, AFTER, [], [], Deployed(OLD, (), BEFORE), stack="dev").problems
    assert str(problem) == (
        f"pools.default: expected `keep: [{OLD}]`, because this makes a new generation: the start task changed; "
        "vm_size Standard_D2ads_v5 -> Standard_D4ads_v5, "
        f"got a change that would delete default-{OLD} with what runs in it; "
        "write keep and the old pool stays until its jobs are moved "
        f"(`.venv/bin/batch-jobs pools drain default-{OLD} --stack dev`), "
        f"or `discard: [{OLD}]` if nothing in it matters"
    )


@pytest.mark.parametrize("old", ["012345678901", "1234567890e1"])
def test_a_hash_that_yaml_would_take_for_a_number_is_shown_in_quotes(old: str) -> None:
    (problem,) = judge("default", NEW, AFTER, [], [], Deployed(old, (), BEFORE), stack="dev").problems
    assert f"`keep: ['{old}']`" in str(problem)
    assert f"`discard: ['{old}']`" in str(problem)


def test_a_pool_that_leaves_the_file_is_told() -> None:
    (warning,) = generations.pools_that_go(["default"], {"default": LAST, "gpu": Deployed(NEW)})
    assert f"pools.gpu is not in the stack file any more. Deleted with what runs there: gpu-{NEW}." in warning


@pytest.mark.parametrize("output", [None, {}, {"default": {"current": OLD, "kept": [OLDER], "made_of": BEFORE}}])
def test_the_output_is_read_as_it_was_written(output: Any) -> None:
    assert Deployed.read(output) == ({"default": LAST} if output else {})


def changed(**pool: Any) -> dict[str, Any]:
    config = stack_config("dev")
    return config | {"pools": {"default": config["pools"]["default"] | pool}}


@pytest.fixture(scope="module")
def first() -> Run:
    return run_program("dev", preview=True)


def generation(run: Run) -> str:
    return run.outputs["pool_generations"]["default"]["current"]


def test_a_new_size_of_machine_is_refused_before_anything_is_registered(first: Run) -> None:
    run = Run()
    with pytest.raises(SettingsError, match=r"vm_size Standard_D2ads_v5 -> Standard_D8ads_v5"):
        run_program("dev", config=changed(vm_size="Standard_D8ads_v5"), deployed=first.outputs, run=run)
    assert run.resources == []


def test_the_kept_generation_is_declared_as_it_was_beside_the_new_one(first: Run) -> None:
    old = generation(first)
    config = changed(vm_size="Standard_D8ads_v5", keep=[old])
    run = run_program("dev", config=config, deployed=first.outputs, preview=True)
    pools = {pool.name: pool for pool in run.of_type("batch:Pool")}
    new = generation(run)
    assert set(pools) == {f"default-{old}", f"default-{new}"}
    assert pools[f"default-{old}"].urn == first.only("batch:Pool").urn
    assert pools[f"default-{old}"].ignore_changes == ["*"]
    # The SDK's own default of the slots is ignored like everything else.
    assert set(pools[f"default-{old}"].inputs) == {"accountName", "resourceGroupName", "poolName", "taskSlotsPerNode"}
    assert run.outputs["pools"]["default"]["id"] == f"default-{new}"
    assert run.outputs["pool_generations"]["default"]["kept"] == [old]


def test_the_next_up_without_the_hash_declares_the_new_one_alone(first: Run) -> None:
    old = generation(first)
    size = "Standard_D8ads_v5"
    second = run_program("dev", config=changed(vm_size=size, keep=[old]), deployed=first.outputs, preview=True)
    third = run_program("dev", config=changed(vm_size=size), deployed=second.outputs, preview=True)
    assert [pool.name for pool in third.of_type("batch:Pool")] == [f"default-{generation(second)}"]


def test_discard_replaces_the_pool_at_once(first: Run) -> None:
    config = changed(vm_size="Standard_D8ads_v5", discard=[generation(first)])
    run = run_program("dev", config=config, deployed=first.outputs, preview=True)
    assert len(run.of_type("batch:Pool")) == 1


def test_a_changed_size_and_the_same_settings_make_no_generation(first: Run) -> None:
    config = changed(scale={"fixed": {"dedicated_nodes": 9}})
    run = run_program("dev", config=config, deployed=first.outputs, preview=True)
    assert generation(run) == generation(first)


def test_outputs_of_generations_hold_no_password_and_nothing_that_helps_to_find_one() -> None:
    made_of = run_program("prod", preview=True).outputs["pool_generations"]["default"]["made_of"]
    assert made_of["vm_size"] == "Standard_D4ads_v5"
    assert made_of["node_image"] == "ubuntu-hpc, microsoft-dsvm, 2404, latest, batch.node.ubuntu 24.04"
    assert re.fullmatch(r"sha256:[0-9a-f]{12}", made_of["users"])


def test_every_property_of_a_generation_is_told_in_words_of_the_stack_file() -> None:
    made_of = run_program("full", preview=True).outputs["pool_generations"]["default"]["made_of"]
    assert set(made_of) == {
        "fill",
        "network",
        "node_identity",
        "node_image",
        "prefetch_worker_image (the worker image)",
        "registry",
        "ssh_from",
        "task_slots_per_node",
        "the program",
        "the start task",
        "users",
        "vm_size",
    }
