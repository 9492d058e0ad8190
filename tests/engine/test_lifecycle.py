"""Preview, update, replace, delete, refresh: what happens to resources over their life."""

from tests.engine.conftest import GROUP

BASE = (
    GROUP
    + """
a = Account("a", groupName=rg.name, accountName="acct", tags={"t": "1"})
c = Container("c", groupName=rg.name, accountName=a.name)
pulumi.export("id", c.id)
"""
)


def test_preview_writes_nothing_and_up_then_no_changes_leaves_the_file_alone(stack):
    r = stack.run("preview", text=BASE)
    assert r.code == 0 and r.summary == {"create": 4}
    assert not stack.state_file.exists()
    r = stack.run("up")
    assert r.code == 0, r.out
    assert [name for _, name in r.ops()] == ["demo-local", "rg", "a", "c"]
    before = stack.state_file.read_bytes()
    r = stack.run("up", "--expect-no-changes")
    assert r.code == 0 and r.summary == {"same": 4}
    assert stack.state_file.read_bytes() == before


def test_expected_no_changes_are_an_error_when_there_are_some(stack):
    r = stack.run("preview", "--expect-no-changes", text=GROUP)
    assert r.code == 1 and "no changes were expected" in r.stderr


def test_update_in_place(stack):
    stack.run("up", text=BASE)
    r = stack.run("preview", text=BASE.replace('{"t": "1"}', '{"t": "2"}'))
    assert r.ops() == [("update", "a")]
    step = next(s for s in r.json["steps"] if s["op"] == "update")
    assert step["diffReasons"] == ["tags"] and step["detailedDiff"] == {"tags.t": {"kind": "update", "inputDiff": True}}
    assert stack.run("up").ops() == [("update", "a")]
    assert stack.res("a")["outputs"]["tags"] == {"t": "2"}


def test_replacement_is_created_first_and_dependents_of_the_old_one_go_before_it(stack):
    text = BASE.replace('accountName="acct", ', "")
    stack.run("up", text=text)
    old = stack.res("a")["id"]
    new = text.replace('tags={"t": "1"})', 'tags={"t": "2"}, opts=O(replace_on_changes=["tags"]))')
    r = stack.run("preview", text=new)
    assert [o for o in r.ops() if o[1] == "a"] == [
        ("create-replacement", "a"), ("replace", "a"), ("delete-replaced", "a")]  # fmt: skip
    assert stack.res("a")["id"] == old
    r = stack.run("up")
    assert r.code == 0, r.out
    assert stack.res("a")["id"] != old and old not in stack.cloud
    assert ("replace", "c") in r.ops()  # its accountName came from the replaced account
    assert stack.cloud["__deleted"] == ["c", "a"]
    assert stack.run("up").summary == {"same": 4}


def test_delete_before_replace_takes_dependents_along(stack):
    stack.run("up", text=BASE)
    options = "opts=O(replace_on_changes=['tags'], delete_before_replace=True))"
    new = BASE.replace('tags={"t": "1"})', 'tags={"t": "2"}, ' + options)
    r = stack.run("preview", text=new)
    assert ("delete-replaced", "c") in r.ops() and r.summary["replace"] == 2
    r = stack.run("up")
    assert r.code == 0, r.out
    assert stack.cloud["__deleted"] == ["c", "a"] and stack.cloud["__created"] == ["rg", "a", "c", "a", "c"]
    assert stack.run("up").summary == {"same": 4}


def test_removed_resource_is_deleted_and_destroy_goes_backwards(stack):
    stack.run("up", text=BASE)
    r = stack.run("up", text=BASE.split("c =")[0])
    assert ("delete", "c") in r.ops()
    stack.run("up", text=BASE)
    r = stack.run("destroy", "--preview-only")
    assert r.code == 0 and r.summary == {"delete": 4} and len(stack.names()) == 5
    r = stack.run("destroy")
    assert r.code == 0
    assert stack.cloud["__deleted"] == ["c", "c", "a", "rg"]
    assert stack.state["resources"] == [] and stack.ids() == []


def test_refresh_sees_changes_and_losses(stack):
    stack.run("up", text=BASE)

    def drift(data):
        for part in ("inputs", "outputs"):
            data["/groups/rg/accounts/acct"][part]["tags"] = {"t": "drifted"}
        data.pop(next(key for key in data if "/containers/" in key))

    stack.tamper(drift)
    r = stack.run("refresh", "--preview-only", "--expect-no-changes")
    assert r.code == 1 and r.ops() == [("update", "a"), ("delete", "c")]
    assert stack.res("a")["outputs"]["tags"] == {"t": "1"}
    assert stack.run("refresh").code == 0
    assert stack.res("a")["inputs"]["tags"] == {"t": "drifted"}
    assert stack.run("up").ops() == [("update", "a"), ("create", "c")]


def test_refresh_of_a_lost_resource_that_others_need(stack):
    stack.run("up", text=BASE)
    stack.tamper(lambda data: data.pop("/groups/rg/accounts/acct"))
    r = stack.run("refresh")
    assert r.code == 0 and r.ops() == [("delete", "a")]
    assert not any("::a" in u for u in stack.res("c")["dependencies"])


def test_order_in_file_does_not_depend_on_timing(make_stack):
    loop = "\nfor i in range(20): Container(f'x{i}', containerName=f'x{i}', groupName=rg.name, accountName=a.name)\n"
    orders = []
    for folder in "ab":
        stack = make_stack(folder)
        (stack.path / "Pulumi.yaml").write_text(
            (stack.path / "Pulumi.yaml").read_text().replace(f"name: {folder}", "name: x", 1)
        )
        stack.name = "x"
        r = stack.run("up", text=BASE + loop, env={"CLOUD_DELAY": "0.05"})
        assert r.code == 0, r.out
        orders.append([resource["urn"] for resource in stack.state["resources"]])
    assert orders[0] == orders[1] and len(orders[0]) == 25


def test_a_pool_with_a_fixed_name_cannot_be_created_before_it_is_deleted(stack):
    text = GROUP + 'pool = Pool("pool", groupName=rg.name, accountName="acc", poolName="fixed", vmSize="S1", ' \
        'opts=O(replace_on_changes=["vmSize"], delete_before_replace=False))\n'  # fmt: skip
    stack.run("up", text=text)
    r = stack.run("up", text=text.replace("S1", "S2"))
    assert r.code == 255 and "already existing" in r.out
    assert stack.res("pool")["outputs"]["vmSize"] == "S1"
    r = stack.run("up", text=text.replace("=False", "=True").replace("S1", "S2"))
    assert r.code == 0 and ("replace", "pool") in r.ops()
    assert stack.res("pool")["outputs"]["vmSize"] == "S2"


def test_a_failed_replacement_keeps_the_old_one_and_a_failed_delete_is_made_up_for(stack):
    text = GROUP + 'p = Group("p", tags={"v": "1"}, opts=O(replace_on_changes=["tags"]))\n'
    stack.run("up", text=text)
    old = stack.res("p")["id"]
    stack.fault(p="fail")
    r = stack.run("up", text=text.replace('"1"', '"2"'))
    assert r.code == 255 and stack.res("p")["id"] == old and old in stack.cloud
    stack.fault(p="fail-delete")
    r = stack.run("up")
    assert r.code == 255 and stack.res("p", delete=True)["id"] == old  # the new one is there, the old one waits
    stack.fault()
    r = stack.run("up")
    assert r.code == 0 and r.ops() == [("delete-replaced", "p")] and old not in stack.cloud
    assert r.summary == {"same": 3, "delete-replaced": 1}


def test_preview_of_a_rebuild_says_what_follows_from_it(stack):
    app = stack.path / "app"
    app.mkdir()
    (app / "Dockerfile").write_text("FROM scratch\n")
    text = (
        GROUP
        + """
img = Image("img", imageName="reg/app", context="app")
a = Account("a", groupName=rg.name, accountName="acct", tags={"image": img.digest})
img.digest.apply(lambda d: pulumi.log.warn("digest " + d))
"""
    )
    assert stack.run("up", text=text).code == 0
    (app / "Dockerfile").write_text("FROM scratch\nUSER 1\n")
    r = stack.run("preview")
    assert r.ops() == [("update", "img"), ("update", "a")] and not r.json["diagnostics"], r.out
    account = next(s for s in r.json["steps"] if s["urn"].endswith("::a"))
    assert account["newState"]["inputs"]["tags"]["image"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    assert stack.run("up").ops() == [("update", "img"), ("update", "a")]
