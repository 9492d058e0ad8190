from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from local.node.contract import (
    ContainerInfo,
    ContainerRegistry,
    ContainerSettings,
    FailureInfo,
    Identity,
    NodeChanged,
    NodeSpec,
    NodeState,
    OutputFile,
    ResourceFile,
    RunEnded,
    RunSpec,
    UserAccount,
    UserIdentity,
    from_json,
    to_json,
)

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
RUN = RunSpec(
    run_id="r", directory="d", command_line="c", environment={"A": "1"}, user=UserIdentity(username="u"),
    container=ContainerSettings(image="i", registry=ContainerRegistry(server="s"), bind_mounts=({"source": "Task"},)),
    resource_files=(ResourceFile(http_url="u"),), output_files=(OutputFile(file_pattern="*", container_url="u"),),
)  # fmt: skip
RECORDS = [
    RUN,
    NodeSpec(
        node_id="n", pool_id="p", account_name="a", account_url="u", start_task=RUN, container_images=("i",),
        identities=(Identity(resource_id="r", client_id="c", principal_id="p"),),
        user_accounts=(UserAccount(name="u"),),
    ),
    NodeSpec(node_id="n", pool_id="p", account_name="a", account_url="u", container_images=None),
    NodeChanged(node_id="n", state=NodeState.UNUSABLE, at=AT, errors=(("Code", "text"),), start_task_started=AT),
    RunEnded(
        node_id="n", run_id="r", at=AT, exit_code=1, container=ContainerInfo(container_id="c", state="exited"),
        failure=FailureInfo(category="usererror", code="C", message="m", details=(("a", "b"),)),
    ),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_record_survives_json(record: object) -> None:
    assert from_json(type(record), json.loads(json.dumps(to_json(record)))) == record


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="UserIdentity has no usrname"):
        from_json(UserIdentity, {"usrname": "x"})


def test_passwords_are_not_in_the_words_of_a_record() -> None:
    assert "secret" not in repr(UserAccount(name="u", password="secret"))
