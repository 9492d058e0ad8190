"""What programs may ask of the SDK, and what they get."""

import json

import pytest

from tests.engine.conftest import GROUP

ACCOUNT = 'sa = Account("sa", groupName=rg.name, accountName="acct"%s)\n'


def test_components_give_urns_parents_and_outputs(stack):
    r = stack.run(
        "up",
        text="""
class Outer(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("my:mod:Outer", name, {"x": 1}, opts)
        inner = Inner(name + "-in", O(parent=self))
        self.register_outputs({"v": inner.rg.name})
class Inner(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("my:mod:Inner", name, None, opts)
        self.rg = Group(name + "-rg", opts=O(parent=self))
        self.register_outputs({})
o = Outer("o")
after = Group("after", opts=O(depends_on=[o]))
""",
    )
    assert r.code == 0, r.out
    rg = stack.res("o-in-rg")
    assert rg["urn"] == "urn:pulumi:local::demo::my:mod:Outer$my:mod:Inner$cloud:index:Group::o-in-rg"
    assert rg["parent"].endswith("my:mod:Outer$my:mod:Inner::o-in")
    assert stack.res("o")["outputs"]["v"].startswith("o-in-rg")
    assert rg["urn"] in stack.res("after")["dependencies"]  # the SDK expands components itself


def test_explicit_and_default_providers(stack):
    r = stack.run(
        "up",
        text=GROUP
        + """
p = cloud.Provider("east", location="eastus", subscription="s1")
x = Group("x", opts=O(provider=p))
pulumi.export("config", cloud.get_config(pulumi.InvokeOptions(provider=p))["config"])
""",
    )
    assert r.code == 0, r.out
    default, east = stack.res("default_1_0_0"), stack.res("east")
    assert default["inputs"] == {"location": "westeurope", "version": "1.0.0"}
    assert stack.res("rg")["provider"] == f"{default['urn']}::{default['id']}"
    assert stack.res("x")["provider"] == f"{east['urn']}::{east['id']}" and east["inputs"]["location"] == "eastus"
    assert stack.res("demo-local")["outputs"]["config"]["subscription"] == "s1"
    assert stack.run("up").summary == {"same": 3}


def test_secrets_stay_sealed(stack):
    assert stack.run("encrypt", "demo:pw", stdin="s3cr3t-config\n").code == 0
    settings = (stack.path / "Pulumi.local.yaml").read_text()
    assert "s3cr3t" not in settings and "encryptionsalt" in settings
    stack.settings(settings + "  demo:obj: {a: [1, 2]}\n")
    text = (
        GROUP
        + """
c = pulumi.Config()
assert c.require_object("obj") == {"a": [1, 2]}
sa = Account("sa", groupName=rg.name, accountName="acct",
   tags={"pw": c.require_secret("pw"), "plain": "p"}, opts=O(additional_secret_outputs=["etag", "name"]))
pulumi.export("conn", pulumi.Output.concat("pw=", sa.tags["pw"]))
pulumi.export("name", sa.name)
pulumi.export("again", pulumi.Output.secret({"k": "s3cr3t-export"}))
"""
    )
    r = stack.run("preview", text=text)
    assert r.code == 0 and "s3cr3t" not in r.out, r.out
    r = stack.run("up", js=False)
    assert r.code == 0 and "s3cr3t" not in r.out and 'conn: "[secret]"' in r.out, r.out
    raw = stack.state_file.read_bytes()
    assert b"s3cr3t" not in raw and stack.state_file.stat().st_mode & 0o777 == 0o600
    out = stack.res("sa")["outputs"]
    assert out["tags"]["plain"] == "p" and "ciphertext" in out["tags"]["pw"] and "ciphertext" in out["name"]
    assert stack.cloud["/groups/rg/accounts/acct"]["outputs"]["tags"]["pw"] == "s3cr3t-config"
    assert stack.run("up").summary == {"same": 3}
    assert stack.state_file.read_bytes() == raw  # unchanged secrets keep their ciphertext
    assert json.loads(stack.run("outputs", "--json").stdout)["conn"] == "[secret]"
    assert json.loads(stack.run("outputs", "--json", "--show-secrets").stdout)["conn"] == "pw=s3cr3t-config"
    assert "s3cr3t" not in stack.run("export").out
    r = stack.run("up", env={"PULUMI_CONFIG_PASSPHRASE": "wrong"})
    assert r.code == 1 and "incorrect passphrase" in r.stderr


def test_applies_on_unknown_outputs_wait_for_the_update(stack):
    text = (
        GROUP
        + """
rg.id.apply(lambda i: pulumi.log.warn("apply ran for " + i))
pulumi.log.warn("plain")
print("printed")
"""
    )
    r = stack.run("preview", text=text)
    assert r.code == 0 and sorted(d["message"] for d in r.json["diagnostics"]) == ["plain", "printed"]
    r = stack.run("up")
    assert any(d["message"].startswith("apply ran for /groups") for d in r.json["diagnostics"])


def test_protected_resources_are_not_deleted(stack):
    stack.run("up", text=GROUP.replace(")\n", ", opts=O(protect=True))\n"))
    for verb, text in (("destroy", None), ("up", "pass"), ("preview", "pass")):
        r = stack.run(verb, text=text)
        assert r.code == 255 and "is protected" in r.out
    assert stack.res("rg")
    assert stack.run("up", text=GROUP).code == 0
    assert stack.run("destroy").code == 0


def test_protected_resources_are_not_replaced(stack):
    text = 'rg = Group("rg", groupName="%s", opts=O(protect=True))\n'
    stack.run("up", text=text % "one")
    r = stack.run("preview", text=text % "two")
    assert r.code == 255 and "marked for protection" in r.out


def test_retain_on_delete_and_deleted_with(stack):
    text = GROUP + ACCOUNT % ", opts=O(retain_on_delete=True)"
    stack.run("up", text=text + 'c = Container("c", groupName=rg.name, accountName=sa.name, opts=O(deleted_with=rg))')
    r = stack.run("destroy")
    assert r.code == 0 and ("retain", "sa") in r.ops()
    assert stack.cloud["__deleted"] == ["rg"]  # c went with rg, sa was kept
    assert "/groups/rg/accounts/acct" in stack.cloud and stack.state["resources"] == []


def test_ignore_changes(stack):
    stack.run("up", text=GROUP + ACCOUNT % ', tags={"a": "1", "b": "1"}')
    r = stack.run("up", text=GROUP + ACCOUNT % ', tags={"a": "2", "b": "2"}, opts=O(ignore_changes=["tags.a"])')
    assert r.ops() == [("update", "sa")] and stack.res("sa")["outputs"]["tags"] == {"a": "1", "b": "2"}
    r = stack.run("up", text=GROUP + ACCOUNT % ', opts=O(ignore_changes=["tags"])')
    assert r.summary == {"same": 3}


def test_aliases_rename_and_reparent(stack):
    stack.run("up", text=GROUP + ACCOUNT % "")
    text = """
class Box(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("my:mod:Box", name)
        alias = pulumi.Alias(name="rg", parent=pulumi.ROOT_STACK_RESOURCE)
        self.rg = Group("group", groupName="rg", opts=O(parent=self, aliases=[alias]))
        self.register_outputs({})
b = Box("b")
"""
    r = stack.run(
        "up", text=text.replace("pulumi.ROOT_STACK_RESOURCE", "None") + (ACCOUNT % "").replace("rg.name", "b.rg.name")
    )
    assert r.summary == {"create": 1, "same": 3}, r.out
    group, account = stack.res("group"), stack.res("sa")
    assert account["propertyDependencies"]["groupName"] == [group["urn"]]
    assert "__deleted" not in stack.cloud


def test_a_type_alias_of_a_parent_reaches_its_children(stack):
    box = """
class Box(pulumi.ComponentResource):
    def __init__(self, name, typ, opts=None):
        super().__init__(typ, name, None, opts)
        Group(name + "-rg", opts=O(parent=self))
"""
    stack.run("up", text=box + 'Box("b", "my:mod:Old")\n')
    r = stack.run("up", text=box + 'Box("b", "my:mod:New", O(aliases=[pulumi.Alias(type_="my:mod:Old")]))\n')
    assert r.code == 0 and r.summary == {"same": 3}, r.out


def test_get_and_import(stack):
    stack.run("up", text=GROUP)
    stack.state_file.unlink()
    r = stack.run("up", text='g = Group.get("g", "/groups/rg")\npulumi.export("n", g.name)\n')
    assert r.code == 0 and ("read", "g") in r.ops() and stack.res("g")["external"]
    text = 'Group("i", groupName="rg", opts=O(import_="/groups/rg"))'
    r = stack.run("up", text=text)
    assert r.code == 0 and ("import", "i") in r.ops(), r.out
    assert stack.run("up", text=text).summary == {"same": 2}
    r = stack.run("preview", text='Group("j", groupName="rg", tags={"a": "b"}, opts=O(import_="/groups/rg"))')
    assert r.code and "do not match" in r.out


def test_stack_references_keep_secrets(make_stack):
    one = make_stack("one")
    one.run("up", text='pulumi.export("a", 5)\npulumi.export("s", pulumi.Output.secret("hush"))')
    (one.path / "Pulumi.two.yaml").write_text("config: {}\n")
    r = one.run(
        "up",
        "-s",
        "two",
        text="""
ref = pulumi.StackReference("organization/one/local")
pulumi.export("a", ref.get_output("a"))
pulumi.export("s", ref.require_output("s"))
""",
    )
    assert r.code == 0, r.out
    two = json.loads((one.state_file.parent / "two.json").read_text())
    outputs = two["checkpoint"]["latest"]["resources"][0]["outputs"]
    assert outputs["a"] == 5 and "ciphertext" in outputs["s"]
    r = one.run("up", "-s", "two", text='pulumi.StackReference("organization/one/three").get_output("a")')
    assert r.code == 255 and "unknown stack 'organization/one/three'" in r.out


@pytest.mark.parametrize(
    "text, says",
    [
        ('Group("r", opts=O(transforms=[lambda a: None]))', "does not support transforms"),
        ("pulumi.runtime.register_resource_transform(lambda a: None)", "does not support transforms"),
        ('Group("r", opts=O(hooks=pulumi.ResourceHookBinding(before_create=[lambda a: None])))', "hooks"),
        ('Group("r", opts=O(replace_with=[Group("q")]))', "ReplaceWith"),
        ('Group("r", opts=O(replacement_trigger="x"))', "replacement_trigger"),
        ('pulumi.ComponentResource("x:y:Z", "r", {}, None, True)', "remote components"),
        ('pulumi.CustomResource("other:index:Thing", "r", {})', "no local plugin is declared for package 'other'"),
        ('pulumi.CustomResource("cloud:index:Thing", "r", {})', "unknown resource type cloud:index:Thing"),
        ('Pool("r", vmSize=1)', "'vmSize' should be a string (at vmSize)"),
    ],
)
def test_what_is_not_supported_or_wrong_is_refused_by_name(stack, text, says):
    r = stack.run("preview", text=text)
    assert r.code == 255 and says in r.out, r.out


def test_errors_in_the_program_are_shown_without_our_traceback(stack):
    r = stack.run("up", js=False, text=GROUP + 'raise ValueError("my fault")')
    assert r.code == 255 and "my fault" in r.out and "__main__.py" in r.out
    assert "site-packages" not in r.out and "local/engine" not in r.out
    r = stack.run("up", js=False, text=GROUP + 'raise pulumi.RunError("calm words")')
    assert r.code == 255 and "calm words" in r.out and "Traceback" not in r.out
    user_error = 'class E(Exception):\n  user_message = "pool.max_nodes: expected 0..100, got 250"\nraise E()'
    r = stack.run("up", js=False, text=user_error)
    assert r.code == 255 and "pool.max_nodes: expected 0..100, got 250" in r.out and "Traceback" not in r.out
    r = stack.run("up", js=False, text=GROUP + "rg.name.apply(lambda n: 1 / 0)")
    assert r.code == 255 and "ZeroDivisionError" in r.out
    r = stack.run("up", js=False, text=GROUP + 'Group("rg")')
    assert r.code == 255 and "Duplicate resource URN" in r.out
    r = stack.run("up", js=False, text="import sys\nsys.exit(3)")
    assert r.code == 255 and "exited with code 3" in r.out
    r = stack.run("up", js=False, text="import sys\nsys.exit('stop here')")
    assert r.code == 255 and "stop here" in r.out
    r = stack.run("up", js=False, text="def broken(:\n")
    assert r.code == 255 and "SyntaxError" in r.out


def test_a_failed_program_deletes_nothing(stack):
    stack.run("up", text=GROUP)
    r = stack.run("up", text='raise ValueError("x")')
    assert r.code == 255 and stack.res("rg") and "__deleted" not in stack.cloud


def test_an_async_entry_point_and_many_resources_at_once(stack):
    r = stack.run(
        "up",
        "-p",
        "32",
        env={"CLOUD_DELAY": "0.3"},
        text=GROUP
        + """
import asyncio
async def main():
    await asyncio.sleep(0.01)
    for i in range(40):
        Group(f"g{i:02}")
    return {"x": 1}
pulumi.run(main)
""",
    )
    assert r.code == 0 and r.summary == {"create": 42}
    assert r.json["duration"] < 8e9  # 41 x 0.3 s one by one would be 12 s


def test_a_failed_invoke_can_be_caught(stack):
    r = stack.run(
        "up",
        text="""
try:
    cloud.get_nothing()
except Exception as e:
    pulumi.export("e", str(e))
""",
    )
    assert r.code == 0 and "unknown function" in stack.state["resources"][0]["outputs"]["e"], r.out


def test_a_provider_with_unknown_configuration_makes_everything_of_it_unknown(stack):
    text = (
        GROUP
        + """
p = cloud.Provider("p", subscription=rg.id)
x = Group("x", opts=O(provider=p))
i = cloud.get_config_output(pulumi.InvokeOptions(provider=p))
i.apply(lambda s: pulumi.log.warn("sub " + s["config"]["subscription"]))
"""
    )
    r = stack.run("preview", text=text)
    assert r.code == 0 and not r.json["diagnostics"] and r.summary == {"create": 3}, r.out
    r = stack.run("up")
    assert r.code == 0 and any("sub /groups/rg" in d["message"] for d in r.json["diagnostics"]), r.out


def test_a_version_option_makes_its_own_default_provider(stack):
    stack.run("up", text=GROUP)
    r = stack.run("up", text=GROUP.replace(")\n", ', opts=O(version="1.1.0"))\n'))
    assert r.code == 0 and r.summary == {"same": 2}
    assert stack.names() == ["demo-local", "default_1_1_0", "rg"]


def test_a_change_of_provider_settings_updates_the_provider_only(stack):
    stack.run("up", text=GROUP)
    stack.settings("config:\n  cloud:location: northeurope\n")
    r = stack.run("up")
    assert r.code == 0 and r.summary == {"same": 2}
    assert stack.res("default_1_0_0")["inputs"]["location"] == "northeurope"


def test_offline_stacks_can_be_previewed_with_labelled_placeholders_and_nothing_else(stack):
    stack.settings("secretsprovider: azurekeyvault://x\nencryptedkey: k\nconfig:\n  demo:pw: {secure: AAAB}\n")
    offline = stack.path / "offline.yaml"
    offline.write_text("secrets:\n  pw: placeholder for pw\n  other: placeholder for other\n")
    text = (
        GROUP + 'c = pulumi.Config()\nGroup("g", tags={"a": c.require_secret("pw"), "b": c.require_secret("other")})\n'
    )
    r = stack.run("preview", "--offline", str(offline), text=text)
    assert r.code == 0 and r.summary == {"create": 3} and "placeholder" not in r.out, r.out
    for verb in ("up", "destroy", "refresh"):
        r = stack.run(verb, "--offline", str(offline))
        assert r.code == 1 and "it can be previewed, and nothing else" in r.stderr
    offline.write_text("secrets: {}\n")
    r = stack.run("preview", "--offline", str(offline))
    assert r.code == 1 and "no placeholder for the secret demo:pw" in r.stderr


def test_outputs_follow_the_program_and_are_given_as_json(stack):
    stack.run("up", text='pulumi.export("a", {"b": [1, 2]})\npulumi.export("gone", 1)')
    assert json.loads(stack.run("outputs", "--json").stdout) == {"a": {"b": [1, 2]}, "gone": 1}
    r = stack.run("up", js=False, text='pulumi.export("a", {"b": [1, 3]})\npulumi.export("new", "x")')
    shown = r.stdout.partition("Outputs:\n")[2].splitlines()[:3]
    assert shown == ['  ~ a: {"b": [1, 2]} => {"b": [1, 3]}', "  - gone: 1", '  + new: "x"']
    assert stack.run("outputs").stdout.split() == ["a", '{"b":', "[1,", "3]}", "new", "x"]
