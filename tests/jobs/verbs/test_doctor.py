"""`doctor` and `images`: what is checked of a stack, each problem with a fix: on services in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.errors import Forbidden, Unreachable
from jobs.exits import Exit
from jobs.service import registry
from jobs.service.batch import NodeState, PoolState
from jobs.service.registry import Manifest
from jobs.verbs.help import doctor
from jobs.verbs.pools import images
from tests.jobs.command.one_failed import one_failed, records, run
from tests.jobs.fakes import START, Stage


@pytest.fixture
def scene() -> Stage:
    return one_failed()


class FakeRegistry:
    server = "registry.azurecr.io"
    digest = "sha256:0123"

    def __init__(self, _connection: object) -> None: ...

    def repositories(self) -> list[str]:
        return ["docker-worker"]

    def manifests(self, repository: str) -> list[Manifest]:
        return [Manifest(repository, self.digest, ("v1",), START - timedelta(days=3), 0)]


def test_images_say_which_pools_use_them(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "Registry", FakeRegistry)
    reference = "registry.azurecr.io/docker-worker@sha256:0123"
    scene.batch.pools_known["p2"] = PoolState(id="p2", state="active", images=(reference,))
    assert run(scene, "images") == Exit.OK
    line = scene.out.getvalue().splitlines()[-1]
    assert line.split()[:3] == ["docker-worker", "v1", "sha256:0123"]
    assert "3 d" in line
    assert "p2" in line
    assert images.users(scene.session, "registry.azurecr.io") == {reference: ["p2"]}


def test_doctor_has_a_fix_for_everything_that_is_wrong(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "Registry", FakeRegistry)
    monkeypatch.setattr(FakeRegistry, "digest", "sha256:other")
    scene.batch.pools_known["default-1a2b"] = PoolState(
        id="default-1a2b", state="active", target_dedicated=2, os_image="o:ubuntu:2204", node_agent="batch.node"
    )
    scene.batch.node_list = [NodeState(id="n1", state="starttaskfailed")]
    scene.batch.ends = {("o:ubuntu:2204", "batch.node"): START + timedelta(days=10)}
    monkeypatch.delitem(doctor.CHECKS, "quotas")
    assert run(scene, "doctor", "--json") == Exit.SERVICE
    found = records(scene)
    wrong = [one for one in found if one["outcome"] != "ok"]
    assert {one["check"] for one in wrong} == {"pools", "images", "registry"}
    assert all(one["fix"] for one in wrong)
    assert {one["check"] for one in found} == {"connection", "batch", "containers", "pools", "images", "registry"}


def test_doctor_tells_reading_from_submitting(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(job_id: str) -> None:
        raise Forbidden(f"job {job_id}: no", next_step="have yourself added", code="PermissionDenied")

    monkeypatch.setattr(scene.batch, "end_when_done", refuse)
    reading, submitting = doctor.batch(scene.session)
    assert (reading.outcome, submitting.outcome) == ("ok", "bad")
    assert (submitting.what, submitting.fix) == ("you may not submit (PermissionDenied)", "have yourself added")


CORES = [
    ("Standard_D4ads_v5", 4),
    ("STANDARD_D2S_V3", 2),
    ("standard_nc24ads_a100_v4", 24),
    ("Standard_HB120rs_v3", 120),
    ("Standard_F8s_v2", 8),
    ("Standard_A2m_v2", 2),
    ("Standard_DS3_v2", None),
    ("Standard_G5", None),
    ("Basic_A1", None),
    ("", None),
]


@pytest.mark.parametrize(("size", "cores"), CORES)
def test_the_cores_of_a_size_are_in_its_name_but_for_old_series(size: str, cores: int | None) -> None:
    assert doctor.cores(size) == cores


@pytest.mark.parametrize(
    ("quota", "outcomes"),
    [
        (24, ["ok", "ok"]),  # 8 of this pool, 8 of another, 8 of a new generation
        (23, ["ok", "warning", "ok"]),
        (15, ["bad", "ok"]),
        (None, ["ok"]),
    ],
)
def test_doctor_counts_cores_for_a_second_generation(quota: int | None, outcomes: list[str]) -> None:
    own = PoolState(id="own", state="active", vm_size="Standard_D4ads_v5", target_dedicated=2)
    other = PoolState(id="other", state="active", vm_size="Standard_D8ads_v5", dedicated=1)
    found = list(doctor.core_quota([own, other], [own], {"dedicated": quota, "spot": 0}))
    assert [one.outcome for one in found] == outcomes
    assert all(one.fix for one in found if one.outcome != "ok")


def test_doctor_goes_on_after_a_check_that_could_not_be_made(scene: Stage) -> None:
    del scene.batch.pools_known["default-1a2b"]
    assert run(scene, "doctor") == Exit.SERVICE
    assert "bad      pools: default-1a2b (default) does not exist" in scene.out.getvalue()
    assert "registry" in scene.out.getvalue()


def test_doctor_says_once_that_nobody_answers(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unreachable("https://x cannot be reached")

    monkeypatch.setattr(scene.batch, "job", away)
    assert run(scene, "doctor") == Exit.SERVICE
    told = scene.out.getvalue()
    assert told.count("cannot be reached") == 1
    assert "not asked, because of that: containers, pools, " in told
    local = replace(scene.session.connection, ca=Path("ca.pem"))
    scene.session.__dict__["connection"] = local
    scene.out.truncate(0)
    scene.out.seek(0)
    run(scene, "doctor")
    assert "the local Azure does not answer: it is stopped\n         make up, or:" in scene.out.getvalue()
