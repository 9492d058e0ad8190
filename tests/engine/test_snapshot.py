"""The state file: what is written is verified, durable, private, and reads back the same."""

import json
import threading

import pytest

from local.engine.codec import UNKNOWN, Secret
from local.engine.errors import EngineBug, SecretsError, StackLocked, UsageError
from local.engine.snapshot import Snapshot
from local.engine.state import Resource

URN = "urn:pulumi:s::p::t::"
PROVIDER = Resource("urn:pulumi:s::p::pulumi:providers:t::d", "pulumi:providers:t", True, id="1")
REFERENCE = f"{PROVIDER.urn}::1"


def custom(name, **given):
    return Resource(**{"urn": URN + name, "type": "t", "custom": True, "id": name, "provider": REFERENCE, **given})


@pytest.fixture
def snapshot(tmp_path):
    snapshot = Snapshot(tmp_path / "stacks" / "s.json", "p", "s", "pw")
    snapshot.place(None, PROVIDER)
    return snapshot


def reread(snapshot, passphrase: str | None = "pw"):
    return Snapshot(snapshot.path, "p", "s", passphrase)


def test_what_is_written_reads_back_the_same(snapshot):
    resource = custom("a", inputs={"x": Secret({"y": 1})}, outputs={"z": [1.5, None]}, property_dependencies={"x": []})
    snapshot.place(None, resource)
    snapshot.begin("updating", resource)
    again = reread(snapshot)
    assert again.resources == [PROVIDER, resource]
    assert [(entry.kind, entry.resource) for entry in again.pending] == [("updating", resource)]


def test_the_file_is_private_and_secrets_are_sealed_under_stable_bytes(snapshot):
    snapshot.place(None, custom("a", inputs={"x": Secret("hush")}))
    snapshot.commit()
    text = snapshot.path.read_text()
    assert "hush" not in text and snapshot.path.stat().st_mode & 0o777 == 0o600
    again = reread(snapshot)
    again.commit()
    sealed = [json.loads(t)["checkpoint"]["latest"]["resources"] for t in (text, snapshot.path.read_text())]
    assert sealed[0] == sealed[1]


def test_secrets_need_the_right_passphrase(snapshot):
    snapshot.place(None, custom("a", inputs={"x": Secret("hush")}))
    snapshot.commit()
    with pytest.raises(SecretsError, match="incorrect passphrase"):
        reread(snapshot, "other")
    with pytest.raises(SecretsError, match="PULUMI_CONFIG_PASSPHRASE"):
        reread(snapshot, None)


@pytest.mark.parametrize(
    "resources, says",
    [
        ([custom("a"), custom("a")], "is in the state twice"),
        ([custom("a", id="")], "has no id"),
        ([custom("a", provider="urn::x::2")], "refers to provider 'urn::x::2'"),
        ([custom("a", dependencies=[URN + "gone"])], "needs urn:pulumi:s::p::t::gone"),
        ([custom("a", parent=URN + "gone")], "needs urn:pulumi:s::p::t::gone"),
        ([custom("a", outputs={"x": [Secret(UNKNOWN)]})], "has an unknown value"),
        ([custom("a", dependencies=[URN + "b"]), custom("b", dependencies=[URN + "a"])], "circle"),
    ],
)
def test_a_state_that_cannot_be_is_not_written(snapshot, resources, says):
    snapshot.commit()
    before = snapshot.path.read_text()
    for resource in resources:
        snapshot.place(None, resource)
    with pytest.raises(EngineBug, match=says):
        snapshot.commit()
    assert snapshot.path.read_text() == before


def test_a_replaced_resource_may_wait_beside_its_replacement(snapshot):
    snapshot.place(None, custom("a", delete=True))
    snapshot.place(None, custom("a", id="new"))
    snapshot.commit()
    assert reread(snapshot).live()[URN + "a"].id == "new"


def test_an_operation_is_in_the_file_before_it_starts_and_its_end_is_one_write(snapshot):
    resource = custom("a")
    entry = snapshot.begin("creating", resource)
    assert [e.kind for e in reread(snapshot).pending] == ["creating"]
    saves = snapshot.saves
    snapshot.settle(entry, lambda: snapshot.place(None, resource))
    again = reread(snapshot)
    assert again.pending == [] and [r.name for r in again.resources] == ["d", "a"] and snapshot.saves == saves + 1


def test_many_threads_share_writes_and_each_change_is_durable_when_its_commit_returns(snapshot):
    missing = []

    def work(index):
        snapshot.place(None, custom(f"r{index:03}"))
        snapshot.commit()
        if f"::r{index:03}" not in snapshot.path.read_text():
            missing.append(index)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not missing and len(reread(snapshot).resources) == 61 and snapshot.saves < 60


def test_a_snapshot_for_a_preview_is_never_written(snapshot):
    snapshot.readonly = True
    snapshot.commit()
    assert not snapshot.path.exists()


def test_one_engine_at_a_time(snapshot):
    with snapshot.exclusive(), pytest.raises(StackLocked, match=r"pid \d+"), reread(snapshot).exclusive():
        pass
    with reread(snapshot).exclusive():
        pass


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 3}', '{"checkpoint": {"latest": {"resources": [1]}}}'])
def test_a_damaged_file_is_named(snapshot, text):
    snapshot.path.parent.mkdir()
    snapshot.path.write_text(text)
    with pytest.raises(UsageError, match="is not a Pulumi checkpoint"):
        reread(snapshot)
