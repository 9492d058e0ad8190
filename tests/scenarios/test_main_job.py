"""The main job from a clean state to a clean state: the story that the project is for, each test one step of it.

Played on the local Azure, and on a subscription where `AZURE_STACK` names one. The steps build on each other.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import docker
import jwt
import pytest
from azure.batch import models
from docker.errors import APIError

from local.azure.platform.store import Store
from tests.scenarios import machine, secret_values
from tests.scenarios.checkout import SOURCE, Run
from tests.scenarios.places import Place
from tests.scenarios.secret_search import Search

failed_steps: list[str] = []
TEMPLATE = "local/Pulumi.local.yaml"
BATCH, STORAGE = "azure-native:batch", "azure-native:storage"
PATIENCE = 120.0  # seconds for something to be seen, on a loaded machine


@dataclass
class Story:
    """What earlier steps left for later ones."""

    job: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    command_lines: set[str] = field(default_factory=set, repr=False)

    @property
    def pool(self) -> str:
        return self.outputs["pools"]["default"]["id"]


@pytest.fixture(scope="module")
def story(place: Place) -> Story:
    return Story()


def section(report: str, task: str) -> str:
    """What the report says of one task."""
    return report.split(f"\n-- {task}: ", 1)[1].split("\n-- ", 1)[0]


def facts(stdout: str) -> dict[str, dict[str, Any]]:
    """The worker's JSON lines by event."""
    lines = [json.loads(line) for line in stdout.splitlines()]
    return {line["event"]: line for line in lines}


def changes(run: Run) -> dict[str, str]:
    """Type and name of each changed resource -> what was done last, as the display says it."""
    found = re.findall(r"^ ?\S{1,2} {1,2}(\S+:\S+) (\S+) ([a-z ]+?)(?: \(| \[| *$)", run.out, re.MULTILINE)
    return {f"{kind} {name}": words for kind, name, words in found}


def order(run: Run, word: str) -> list[str]:
    """The types of the resources that were `deleted`, say, in that order."""
    return re.findall(rf"^ ?\S{{1,2}} {{1,2}}(\S+:\S+) \S+ {word}\b", run.out, re.MULTILINE)


def assert_job_ran(place: Place, story: Story, run: Run) -> None:
    """Every task of the job ended well, on both nodes, and the report shows what the service knows."""
    clients, job = place.clients, story.job
    tasks = clients.tasks(job)
    assert len(tasks) >= 4
    assert {task.execution_info.exit_code for task in tasks.values() if task.execution_info} == {0}
    if place.name == "local":  # real nodes boot minutes apart: the first may do it all
        assert len({task.node_info.node_id for task in tasks.values() if task.node_info}) == 2
    for name, task in tasks.items():
        assert task.container_settings is not None
        assert task.container_settings.image_name == story.outputs["worker_image"]
        shown = section(run.out, name)
        assert shown.startswith("succeeded, exit code 0")
        for line in clients.task_stdout(job, name).splitlines():
            assert f"   | {line}\n" in shown + "\n"
    container = story.outputs["job_containers"]["hello"]
    blob = clients.blob(container, f"{job}/check/stdout.txt")
    assert f"stdout from blob {container}/{job}/check/stdout.txt" in section(run.out, "check")
    assert blob == clients.task_stdout(job, "check")
    assert "Max open files" in clients.blob(container, f"{job}/shell/report.txt")


def test_make_up_from_nothing_deploys_and_shows_what_the_sample_job_said(place: Place, story: Story) -> None:
    with machine.Watching() as story.command_lines:
        run = place.up("up, from nothing (caches of the engine kept)")
    story.outputs = place.outputs()
    story.job = place.checkout.last_job(run)
    assert_job_ran(place, story, run)
    said = facts(place.clients.task_stdout(story.job, "check"))
    assert said["connected"]["encrypted"] is True
    assert said["server"]["version"].startswith("Microsoft SQL Server")
    assert (said["row"]["job"], said["row"]["task"], said["row"]["attempts"]) == (story.job, "check", 1)
    assert story.outputs["worker_identity"]["client_id"] in said["identity"]["login"]


def test_make_up_gives_each_step_its_time_and_says_what_to_try_next(local: Place, story: Story) -> None:
    again = local.up("up, nothing changed")
    steps = re.findall(r"^==> (.+): done \(\d+\.\d+s\)$", again.err, re.MULTILINE)
    assert [step.split(":")[0] for step in steps] == [
        "local Azure",
        "images and settings of this machine",
        "pulumi up (stack local)",
        "nodes of the pools",
        "database user of the node identity",
        "sample job",
    ]
    assert re.search(r"^==> set-up: ready \(\d+\.\d+s\)$", again.err, re.MULTILINE)
    tail = again.err.split("What to try next:")[1]
    assert all(command in tail for command in ("make preview", "jobs submit jobs/samples/hello.yaml", "make destroy"))
    # Nothing was deployed, no job was submitted, and the last run is shown again.
    assert changes(again) == {}
    assert re.search(r"^    \d+ unchanged$", again.out, re.MULTILINE)
    assert local.checkout.last_job(again) == story.job
    assert len(list(local.clients.batch.list_jobs())) == 1
    assert_job_ran(local, story, again)


def test_the_start_task_put_the_admin_user_into_the_docker_group(place: Place, story: Story) -> None:
    nodes = place.clients.nodes(story.pool)
    assert len(nodes) == 2
    for node in nodes:
        assert node.start_task_info is not None
        assert (node.start_task_info.state, node.start_task_info.exit_code) == ("completed", 0)
        said = place.clients.start_task_stdout(story.pool, str(node.id))
        groups = re.search(r"^user batchadmin runs docker without sudo; its groups: (.*)$", said, re.MULTILINE)
        assert groups is not None
        assert "docker" in groups[1].split()


def test_on_the_nodes_the_admin_user_runs_docker_and_the_other_does_not(local: Place) -> None:
    nodes = machine.node_containers(local.paths)
    assert len(nodes) == 2
    for node in nodes:
        assert machine.on_node(node["Name"], "docker", "ps", user="batchadmin")[0] == 0
        code, said = machine.on_node(node["Name"], "docker", "ps", user="batchuser")
        assert code != 0
        assert "permission denied" in said.lower()


def test_while_a_job_runs_no_secret_is_seen_on_command_lines_in_containers_logs_or_files(
    local: Place, story: Story
) -> None:
    hold = local.checkout.root / "hold.yaml"
    hold.write_text("job: {family: hello, id: hold}\ntasks: {list: [{id: wait, command: [wait, --seconds, '600']}]}\n")
    local.checkout.module("jobs", "submit", str(hold), "--yes")
    batch = local.clients.batch
    deadline = time.monotonic() + PATIENCE
    while batch.get_task("hold", "wait").state != "running":
        assert time.monotonic() < deadline, "the task did not start"
        time.sleep(0.2)
    secrets = secret_values.known(local.paths, local.checkout.processes()["azurite"])
    secrets |= local.account_keys(story.outputs)
    running = [one for node in machine.node_containers(local.paths) for one in machine.task_containers(node["Name"])]
    assert any(one["State"]["Running"] for one in running)
    seen = "\n".join(story.command_lines | machine.command_lines())
    assert str(local.checkout.root) in seen
    search = Search(secrets)
    assert search.names(seen) == set()
    assert secret_values.shown_on_nodes(local.paths, search) == []
    assert secret_values.badly_kept(local.paths, search) == []
    batch.begin_delete_job("hold").result()


def test_a_changed_worker_is_pushed_under_a_new_digest_and_the_pool_stays(place: Place, story: Story) -> None:
    before, nodes = story.outputs, {str(node.id) for node in place.clients.nodes(story.pool)}
    place.checkout.edit("worker/docker_worker/check.py", 'log("done")', 'log("done", edition="second")')
    run = place.up("up, worker changed")
    story.outputs = place.outputs()
    story.job = place.checkout.last_job(run)
    assert story.outputs["worker_image"] != before["worker_image"]
    assert story.pool == before["pools"]["default"]["id"]
    assert {str(node.id) for node in place.clients.nodes(story.pool)} == nodes
    assert_job_ran(place, story, run)
    assert facts(place.clients.task_stdout(story.job, "check"))["done"]["edition"] == "second"


def test_the_nodes_really_have_both_images(local: Place, story: Story) -> None:
    digest = story.outputs["worker_image"].split("@")[1]
    for node in machine.node_containers(local.paths):
        _, images = machine.on_node(node["Name"], "docker", "images", "--digests", "--no-trunc")
        assert digest in images


SIZE = "      vm_size: Standard_D2ads_v5\n"
LARGER = "      vm_size: Standard_D4ads_v5\n      node_image: {sku: 2204}\n"


def test_another_machine_image_and_start_task_without_keep_are_refused_and_change_nothing(local: Place) -> None:
    local.checkout.edit("infra/start_task.sh", 'echo "start task on', 'echo "start task, second edition, on')
    local.checkout.edit(TEMPLATE, SIZE, LARGER)
    before = local.outputs()
    for verb in ("preview", "up"):
        run = local.checkout.module("local", verb, expect=1)
        assert "makes a new generation: node_image " in run.text
        assert "; the start task changed; vm_size Standard_D2ads_v5 -> Standard_D4ads_v5" in run.text
        assert f"keep: [{before['pool_generations']['default']['current']}]" in run.text
    assert local.outputs() == before


def test_the_kept_pool_stays_with_its_nodes_beside_the_new_one_until_the_file_lets_it_go(
    local: Place, story: Story
) -> None:
    old = story.pool
    nodes = {str(node.id): node.state for node in local.clients.nodes(old)}
    under_way = work_on(local, old, "during-the-up", story.outputs["worker_image"])
    keep = f"      keep: ['{old.removeprefix('default-')}']\n"
    slots = "      task_slots_per_node: 2\n"
    local.checkout.edit(TEMPLATE, slots, slots + keep)
    preview = local.preview()
    assert f"`python -m jobs pools drain {old}` moves its jobs" in preview.text
    run = local.up("up, start task changed, old pool kept")
    story.outputs = local.outputs()
    story.job = local.checkout.last_job(run)
    assert story.pool != old
    assert {kind_and_name: words for kind_and_name, words in changes(run).items() if ":Pool " in kind_and_name} == {
        f"{BATCH}:Pool {story.pool}": "created"
    }
    assert {str(pool.id) for pool in local.clients.batch.list_pools()} == {old, story.pool}
    assert set(nodes) == {str(node.id) for node in local.clients.nodes(old)}
    for node in local.clients.nodes(story.pool):
        said = local.clients.start_task_stdout(story.pool, str(node.id))
        assert said.startswith("start task, second edition, on node")
    assert_job_ran(local, story, run)
    machines = {str(pool.vm_size).lower() for pool in local.clients.batch.list_pools()}
    assert machines == {"standard_d2ads_v5", "standard_d4ads_v5"}
    moving = work_on(local, old, "moved", story.outputs["worker_image"])
    drained = local.checkout.jobs("pools", "drain", old, "--yes")
    assert old in drained.err
    for job in (under_way, moving):
        assert_nothing_was_lost(local, job, local.clients.batch.get_job(job).pool_info, story.pool)
    ran_on = {task.node_info.pool_id for task in local.clients.tasks(moving).values() if task.node_info}
    assert ran_on == {old, story.pool}
    local.checkout.edit(TEMPLATE, keep, "")
    gone = local.up("up, old pool let go")
    assert changes(gone)[f"{BATCH}:Pool {old}"] == "deleted"
    assert [str(pool.id) for pool in local.clients.batch.list_pools()] == [story.pool]
    story.outputs = local.outputs()
    story.job = local.checkout.last_job(gone)


def work_on(place: Place, pool: str, job: str, image: str) -> str:
    """A job of more tasks than the pool's slots, so that some run and some wait."""
    batch = place.clients.batch
    batch.create_job(models.BatchJobCreateOptions(id=job, pool_info=models.BatchPoolInfo(pool_id=pool)))
    container = models.BatchTaskContainerSettings(image_name=image, container_run_options="--rm --entrypoint /bin/sh")
    tasks = [
        models.BatchTaskCreateOptions(id=f"t{number}", command_line="-c 'sleep 12'", container_settings=container)
        for number in range(8)
    ]
    batch.create_task_collection(job, models.BatchTaskGroup(task_values=tasks))
    deadline = time.monotonic() + PATIENCE
    while not any(task.state == "running" for task in place.clients.tasks(job).values()):
        assert time.monotonic() < deadline, f"no task of {job} began"
        time.sleep(0.2)
    return job


def assert_nothing_was_lost(place: Place, job: str, now_on: models.BatchPoolInfo | None, new: str) -> None:
    """Every task of the job ends well at its first attempt, and the job is where the new generation takes it."""
    assert now_on is not None and now_on.pool_id == new
    deadline = time.monotonic() + PATIENCE
    while any(task.state != "completed" for task in place.clients.tasks(job).values()):
        assert time.monotonic() < deadline, f"job {job} is stranded"
        time.sleep(0.2)
    ends = [task.execution_info for task in place.clients.tasks(job).values()]
    assert {(end.exit_code, end.retry_count, end.requeue_count) for end in ends if end} == {(0, 0, 0)}
    assert len(ends) == 8


def test_an_unchanged_preview_says_that_nothing_changes(local: Place) -> None:
    run = local.preview()
    assert changes(run) == {}
    assert re.search(r"Resources:\n    \d+ unchanged\n", run.out)
    local.checkout.module("local", "preview", "--expect-no-changes")


def test_an_expired_push_token_in_the_state_is_replaced_by_a_fresh_one(local: Place, story: Story) -> None:
    """Months after the last `up`: the token in the state is long over, and only the worker changed."""
    file = secret_values.state_file(local.paths)
    kept = secret_values.registry_token(local.paths)
    expired = aged(local, kept)
    assert registry_takes(local, story, kept)
    assert not registry_takes(local, story, expired)
    secret_values.replace_registry_token(local.paths, expired)
    assert secret_values.registry_token(local.paths) == expired

    before, began = story.outputs["worker_image"], int(time.time())
    local.checkout.edit("worker/docker_worker/check.py", 'edition="second"', 'edition="third"')
    run = local.up("up, push token expired and worker changed")
    story.outputs = local.outputs()
    story.job = local.checkout.last_job(run)
    assert story.outputs["worker_image"] != before
    assert set(changes(run)) == {"docker:index:Image worker"}
    assert facts(local.clients.task_stdout(story.job, "check"))["done"]["edition"] == "third"
    fresh = secret_values.registry_token(local.paths)
    assert jwt.decode(fresh, options={"verify_signature": False})["iat"] >= began
    text = file.read_text()
    assert Search({"push token": fresh}).names(text) == set()


def aged(local: Place, token: str) -> str:
    """The same token as the registry would have signed it a day ago."""
    store = Store(local.paths.database)
    try:
        kept = store.get("registry", "signing")
    finally:
        store.close()
    assert kept is not None
    claims = jwt.decode(token, options={"verify_signature": False})
    claims |= {name: claims[name] - 24 * 3600 for name in ("iat", "nbf", "exp") if name in claims}
    return jwt.encode(claims, kept["key"], algorithm="HS256", headers=jwt.get_unverified_header(token))


def registry_takes(local: Place, story: Story, token: str) -> bool:
    """Whether an engine could sign in with this token."""
    server = story.outputs["registry_server"]
    try:
        docker.from_env().api.login("00000000-0000-0000-0000-000000000000", token, registry=server, reauth=True)
    except APIError as error:
        assert "unauthorized" in str(error).lower()
        return False
    return True


def test_make_destroy_removes_everything_in_reverse_order_and_shows_that_nothing_is_left(
    place: Place, story: Story
) -> None:
    registry = story.outputs["registry_server"]
    clients, group = place.clients, story.outputs["resource_group"]
    run = place.destroy()
    assert group not in clients.groups()
    if place.name != "local":
        return
    deleted = order(run, "deleted")
    for earlier, later in (
        (f"{BATCH}:Pool", f"{BATCH}:BatchAccount"),
        (f"{BATCH}:BatchAccount", f"{STORAGE}:StorageAccount"),
        (f"{STORAGE}:BlobContainer", f"{STORAGE}:StorageAccount"),
        ("docker:index:Image", "azure-native:containerregistry:Registry"),
        (f"{STORAGE}:StorageAccount", "azure-native:resources:ResourceGroup"),
        ("azure-native:resources:ResourceGroup", "pulumi:pulumi:Stack"),
    ):
        last = len(deleted) - 1 - deleted[::-1].index(earlier)
        assert last < deleted.index(later), f"{later} was deleted before {earlier}"
    assert run.err.splitlines()[-1].startswith("nothing is left")
    assert machine.node_containers(place.paths) == []
    assert [
        name
        for name in machine.leftovers(place.checkout.root, place.paths)
        if name.split()[0] in ("container", "volume", "network", "mount")
    ] == []
    tags = [tag for image in docker.from_env().api.images() for tag in image["RepoTags"] or ()]
    assert not [tag for tag in tags if tag.startswith(registry)]


def test_after_a_destroy_the_caches_make_up_quick(local: Place, story: Story) -> None:
    local.forget_clients()
    began = time.monotonic()
    running = local.checkout.start("make", "up")
    assert running.stdout is not None
    lines: list[str] = []
    for line in running.stdout:
        if line.startswith("   | ") and "up again, to the first task's stdout" not in local.seconds:
            local.seconds["up again, to the first task's stdout"] = time.monotonic() - began
        lines.append(line)
    _, words = running.communicate()
    assert running.returncode == 0, "".join(lines) + words
    assert local.seconds["up again, to the first task's stdout"] < 300  # the aim is 60 on an idle machine
    story.outputs = local.outputs()
    story.job = local.checkout.last_job(Run(0, "".join(lines), words))
    assert_job_ran(local, story, Run(0, "".join(lines), words))
    local.destroy()


def test_make_down_stops_every_process_and_leaves_the_engine_alone(local: Place) -> None:
    names = set(local.checkout.processes())
    assert names == {"supervisor", "registry", "azurite", "azure", "sql"}
    assert machine.processes(local.checkout.root)
    local.checkout.make("down")
    assert machine.leftovers(local.checkout.root, local.paths) == []
    assert local.checkout.make("down").code == 0
    assert docker.from_env().ping()


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_real_stacks_are_previewed_offline(local: Place, stack: str) -> None:
    run = local.checkout.make("preview", f"STACK={stack}")
    assert f"Previewing update ({stack})" in run.out
    assert re.search(r"^    \+ \d+ to create$", run.out, re.MULTILINE)
    assert re.search(r"^ \+  azure-native:batch:BatchAccount batch create", run.out, re.MULTILINE)
    assert machine.leftovers(local.checkout.root, local.paths) == []


def test_make_help_lists_every_target(local: Place) -> None:
    listed = {line.split()[0] for line in local.checkout.make("help").out.splitlines()}
    assert {"up", "preview", "destroy", "down", "clean", "test", "test-fast", "help", "setup"} <= listed


def test_make_clean_leaves_the_checkout_as_it_was_cloned(local: Place) -> None:
    local.checkout.make("clean")
    place = local.checkout
    gone = (place.home, place.root / ".venv", place.root / "local" / "azure" / "blobs" / "node_modules")
    assert [folder for folder in gone if folder.exists()] == []
    owned = docker.from_env().images.list(filters={"label": f"org.local-azure.image.home={local.paths.id}"})
    assert owned == []
    assert machine.leftovers(place.root, local.paths) == []
    assert (SOURCE / ".venv" / "bin" / "python").exists()
