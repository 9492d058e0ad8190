"""SIGKILL at any point, then plain `up` (or `destroy`): it converges, nothing is doubled, nothing is left."""

import pytest

from tests.engine.conftest import GROUP
from tests.engine.test_failures import THREE

POOL = (
    GROUP
    + """
p = Pool("p", groupName=rg.name, accountName="acc", vmSize="%s", opts=O(replace_on_changes=["vmSize"]%s))
Container("c", groupName=rg.name, accountName="acc", containerName="c", tags={"pool": p.name})
"""
)


def pending(stack):
    return [(p["type"], p["resource"]["urn"].rsplit("::", 1)[1]) for p in stack.state.get("pending_operations", [])]


def converged(stack, ids):
    assert pending(stack) == [] and stack.ids() == ids
    recorded = [r["id"] for r in stack.state["resources"] if r["type"].startswith("cloud:")]
    assert sorted(recorded) == ids
    again = stack.run("up", "--expect-no-changes")
    assert again.code == 0, again.out


@pytest.mark.parametrize("fault", ["hang", "hang-before"])
def test_killed_during_a_create(stack, fault):
    stack.fault(a=fault)
    stack.kill_while_hanging("up", THREE)
    assert pending(stack) == [("creating", "a")] and "a" not in stack.names()
    stack.fault()
    r = stack.run("up")
    assert r.code == 0 and "an earlier run ended while 1 operation(s) were under way" in r.out, r.out
    assert r.ops() == [("import" if fault == "hang" else "create", "a"), ("create", "c")]
    assert stack.cloud["__created"].count("a") == 1
    converged(stack, ["/groups/rg", "/groups/rg/accounts/acct", "/groups/rg/accounts/acct/containers/c"])


def test_killed_during_the_create_of_a_generated_name_keeps_the_name(stack):
    text = GROUP + 'g = Group("g")\nAccount("a", groupName=g.name, accountName="a", tags={"x": "1"})\n'
    stack.fault(g="hang")
    stack.kill_while_hanging("up", text)
    name = next(key for key in stack.ids() if key != "/groups/rg")
    stack.fault()
    assert stack.run("up").code == 0
    converged(stack, sorted(["/groups/rg", name, f"{name}/accounts/a"]))


def test_killed_during_a_create_and_then_the_program_changed_is_adopted_and_updated(stack):
    stack.fault(a="hang")
    stack.kill_while_hanging("up", THREE)
    stack.fault()
    r = stack.run("up", text=THREE.replace('"acct")', '"acct", tags={"t": "2"})'))
    assert r.code == 0 and r.ops()[:2] == [("import", "a"), ("update", "a")], r.ops()
    assert stack.cloud["/groups/rg/accounts/acct"]["outputs"]["tags"] == {"t": "2"}
    converged(stack, ["/groups/rg", "/groups/rg/accounts/acct", "/groups/rg/accounts/acct/containers/c"])


def test_killed_during_a_create_that_the_program_then_no_longer_wants(stack):
    stack.fault(a="hang")
    stack.kill_while_hanging("up", THREE)
    stack.fault()
    r = stack.run("up", text=GROUP)
    assert r.code == 0 and stack.cloud["__deleted"] == ["a"], r.out
    converged(stack, ["/groups/rg"])


def test_killed_during_a_create_whose_name_then_changed(stack):
    stack.fault(a="hang")
    stack.kill_while_hanging("up", THREE)
    stack.fault()
    r = stack.run("up", text=THREE.replace("acct", "other"))
    assert r.code == 0 and stack.cloud["__deleted"] == ["a"], r.out
    converged(stack, ["/groups/rg", "/groups/rg/accounts/other", "/groups/rg/accounts/other/containers/c"])


@pytest.mark.parametrize("fault", ["hang", "hang-before"])
def test_killed_during_a_create_and_then_destroyed_leaves_nothing(stack, fault):
    stack.fault(a=fault)
    stack.kill_while_hanging("up", THREE)
    stack.fault()
    r = stack.run("destroy")
    assert r.code == 0 and stack.ids() == [] and stack.state["resources"] == [] and pending(stack) == [], r.out


def test_killed_during_an_update_reads_it_again(stack):
    stack.run("up", text=THREE)
    stack.fault(a="hang-update")
    stack.kill_while_hanging("up", THREE.replace('"acct")', '"acct", tags={"t": "2"})'))
    assert pending(stack) == [("updating", "a")]
    stack.fault()
    assert stack.run("up").code == 0
    assert stack.cloud["/groups/rg/accounts/acct"]["outputs"]["tags"] == {"t": "2"}
    stack.fault(a="hang-update")
    stack.kill_while_hanging("up", THREE.replace('"acct")', '"acct", tags={"t": "3"})'))
    stack.fault()
    r = stack.run("up", text=THREE)  # the program is back at the beginning: only what was read tells the difference
    assert r.code == 0 and r.ops() == [("update", "a")], r.ops()
    assert "tags" not in stack.cloud["/groups/rg/accounts/acct"]["inputs"]
    converged(stack, ["/groups/rg", "/groups/rg/accounts/acct", "/groups/rg/accounts/acct/containers/c"])


def test_killed_during_a_delete(stack):
    stack.run("up", text=THREE)
    stack.fault(c="hang-delete")
    stack.kill_while_hanging("up", THREE.split("c =")[0])
    assert pending(stack) == [("deleting", "c")] and "c" in stack.names()
    stack.fault()
    r = stack.run("up")
    assert r.code == 0 and stack.cloud["__deleted"] == ["c"], r.out
    converged(stack, ["/groups/rg", "/groups/rg/accounts/acct"])


def test_killed_during_a_delete_and_then_wanted_again(stack):
    stack.run("up", text=THREE)
    stack.fault(c="hang-delete")
    stack.kill_while_hanging("up", THREE.split("c =")[0])
    stack.fault()
    r = stack.run("up", text=THREE)
    assert r.code == 0 and stack.cloud["__created"].count("c") == 2, r.out
    converged(stack, ["/groups/rg", "/groups/rg/accounts/acct", "/groups/rg/accounts/acct/containers/c"])


def test_killed_while_the_replacement_is_created(stack):
    stack.run("up", text=POOL % ("S1", ", delete_before_replace=False"))
    old = stack.res("p")["id"]
    stack.fault(p="hang")
    stack.kill_while_hanging("up", POOL % ("S2", ", delete_before_replace=False"))
    assert pending(stack) == [("creating", "p")] and stack.res("p")["id"] == old
    stack.fault()
    r = stack.run("up")
    assert r.code == 0 and ("delete-replaced", "p") in r.ops(), r.out
    new = stack.res("p")["id"]
    assert new != old and stack.cloud["__created"].count("p") == 2
    converged(stack, sorted(["/groups/rg", "/groups/rg/accounts/acc/containers/c", new]))


@pytest.mark.parametrize("back", [False, True])
def test_killed_between_deleting_the_old_one_and_creating_the_new(stack, back):
    stack.run("up", text=POOL % ("S1", ", delete_before_replace=True"))
    stack.fault(p="hang-before")
    stack.kill_while_hanging("up", POOL % ("S2", ", delete_before_replace=True"))
    assert stack.res("p")["pendingReplacement"]
    stack.fault()
    r = stack.run("up", text=(POOL % ("S1", ", delete_before_replace=True")) if back else None)
    assert r.code == 0 and ("replace", "p") in r.ops(), r.out
    assert stack.res("p")["outputs"]["vmSize"] == ("S1" if back else "S2")
    converged(stack, sorted(["/groups/rg", "/groups/rg/accounts/acc/containers/c", stack.res("p")["id"]]))


def test_killed_while_deleting_the_old_one_first(stack):
    stack.run("up", text=POOL % ("S1", ", delete_before_replace=True"))
    stack.fault(p="hang-delete")
    stack.kill_while_hanging("up", POOL % ("S2", ", delete_before_replace=True"))
    assert pending(stack) == [("deleting", "p")]
    stack.fault()
    r = stack.run("up")
    assert r.code == 0 and stack.cloud["__deleted"].count("p") == 1, r.out
    converged(stack, sorted(["/groups/rg", "/groups/rg/accounts/acc/containers/c", stack.res("p")["id"]]))


def test_killed_during_destroy(stack):
    stack.run("up", text=THREE)
    stack.fault(a="hang-delete")
    stack.kill_while_hanging("destroy")
    stack.fault()
    r = stack.run("destroy")
    assert r.code == 0 and stack.ids() == [] and stack.state["resources"] == [], r.out


def test_an_image_whose_build_was_killed_and_whose_source_then_changed_is_built_once_more_only(stack):
    app = stack.path / "app"
    app.mkdir()
    (app / "Dockerfile").write_text("FROM scratch\n")
    stack.fault(img="hang-before")
    stack.kill_while_hanging("up", GROUP + 'Image("img", imageName="reg/app", context="app")\n')
    (app / "Dockerfile").write_text("FROM scratch\nUSER 1\n")
    stack.fault()
    assert stack.run("up").code == 0 and stack.cloud["__created"].count("img") == 1
    converged(stack, ["/groups/rg", "reg/app"])


def test_killed_twice_during_the_same_create(stack):
    stack.fault(a="hang-before")
    stack.kill_while_hanging("up", THREE)
    stack.fault(a="hang")
    stack.kill_while_hanging("up")
    stack.fault()
    assert stack.run("up").code == 0 and stack.cloud["__created"].count("a") == 1
    converged(stack, ["/groups/rg", "/groups/rg/accounts/acct", "/groups/rg/accounts/acct/containers/c"])


def test_a_preview_says_what_was_interrupted_and_changes_nothing(stack):
    stack.fault(a="hang")
    stack.kill_while_hanging("up", THREE)
    before = stack.state_file.read_bytes()
    stack.fault()
    r = stack.run("preview")
    assert r.code == 0 and "creating cloud:index:Account a; `up` settles this" in r.stderr
    assert stack.state_file.read_bytes() == before


def test_recover_by_hand_adopts_or_forgets(stack):
    stack.fault(a="hang")
    stack.kill_while_hanging("up", THREE)
    stack.fault()
    urn = stack.state["pending_operations"][0]["resource"]["urn"]
    r = stack.run("recover")
    assert r.code == 0 and "whether it exists is not known" in r.out and pending(stack)
    r = stack.run("recover", "--import", "urn:pulumi:x=/nowhere")
    assert r.code == 1 and "no operation on urn:pulumi:x is pending" in r.stderr
    r = stack.run("recover", "--import", f"{urn}=/nowhere")
    assert r.code == 255 and "nothing exists under /nowhere" in r.out
    r = stack.run("recover", "--import", f"{urn}=/groups/rg/accounts/acct")
    assert r.code == 0 and "adopted as" in r.out, r.out
    assert stack.run("up").ops() == [("create", "c")]


def test_recover_clear_forgets_an_interrupted_creation(stack):
    stack.fault(a="hang-before")
    stack.kill_while_hanging("up", THREE)
    stack.fault()
    assert stack.run("recover", "--clear").code == 0 and pending(stack) == []
    assert stack.run("up").ops() == [("create", "a"), ("create", "c")]


def test_refresh_settles_interrupted_updates_and_deletes(stack):
    stack.run("up", text=THREE)
    stack.fault(c="hang-delete")
    stack.kill_while_hanging("destroy")
    stack.fault()
    r = stack.run("refresh")
    assert r.code == 0 and r.ops() == [("delete", "c")] and pending(stack) == []
