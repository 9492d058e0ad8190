from __future__ import annotations

from dataclasses import replace

import pytest

from local.node.agent.accounts import Account
from local.node.agent.config import AgentConfig
from local.node.agent.containers import create_arguments
from local.node.agent.engine import split_reference
from local.node.agent.environment import container_environment
from local.node.agent.failures import RunFailed
from local.node.contract import ApplicationPackage, ContainerSettings
from tests.node.specs import NODE, run

CONFIG = AgentConfig(node=NODE, hosts={"sql.azure.test": "168.63.129.16"})
TASK_USER = Account("_azbatch", 1000, 1001)
SETTINGS = ContainerSettings(image="registry/worker@sha256:1")
WD = "/mnt/batch/tasks/workitems/job/job-1/t/wd"


def arguments(command_line: str = "", **changes: object) -> list[str]:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return create_arguments(CONFIG, run("t", command_line, container=settings), settings, TASK_USER, "/env")


def pairs(words: list[str], option: str) -> list[str]:
    return [words[index + 1] for index, word in enumerate(words) if word == option]


def test_by_default_the_node_root_is_mounted_and_the_task_user_runs_in_the_working_directory() -> None:
    words = arguments("run --all")
    assert pairs(words, "--volume") == ["/mnt/batch/tasks:/mnt/batch/tasks"]
    assert pairs(words, "--user") == ["1000:1001"]
    assert pairs(words, "--workdir") == [WD]
    assert pairs(words, "--add-host") == ["sql.azure.test:168.63.129.16"]
    assert words[-3:] == ["registry/worker@sha256:1", "run", "--all"]


@pytest.mark.parametrize("options", ["--user 5:6", "--user=5:6", "-u 5:6", "-u5:6"])
def test_run_options_that_name_a_user_replace_the_task_user(options: str) -> None:
    words = arguments(run_options=options)
    assert "1000:1001" not in words
    assert " ".join(words).endswith(f"{options} registry/worker@sha256:1")


def test_an_empty_command_line_leaves_the_image_its_own_command() -> None:
    assert arguments("")[-1] == "registry/worker@sha256:1"


def test_the_images_own_working_directory_is_kept_on_demand() -> None:
    assert "--workdir" not in arguments(working_directory="containerImageDefault")


def test_run_options_come_last_so_that_they_win() -> None:
    words = arguments(run_options="--workdir /elsewhere --rm")
    assert pairs(words, "--workdir") == [WD, "/elsewhere"]


def test_only_named_folders_are_mounted_and_only_their_variables_are_set(tmp_path: object) -> None:
    config = replace(CONFIG, root=str(tmp_path))
    mounts = ({"source": "Task"}, {"source": "Shared", "isReadOnly": True})
    settings = replace(SETTINGS, bind_mounts=mounts)
    spec = run("t", "", container=settings)
    words = create_arguments(config, spec, settings, TASK_USER, "/env")
    folder = f"{tmp_path}/workitems/job/job-1/t"
    assert pairs(words, "--volume") == [f"{folder}:{folder}", f"{tmp_path}/shared:{tmp_path}/shared:ro"]
    variables = container_environment(config, spec, TASK_USER)
    assert variables["AZ_BATCH_TASK_DIR"] == folder
    assert not {"AZ_BATCH_NODE_ROOT_DIR", "AZ_BATCH_NODE_STARTUP_DIR"} & set(variables)


@pytest.mark.parametrize(("source", "seen"), [("Applications", True), ("Task", False)])
def test_packages_are_known_to_a_container_that_has_their_folder(source: str, seen: bool) -> None:
    package = ApplicationPackage(application="tool", version="1", folder="tool12026-01-01-00-00")
    settings = replace(SETTINGS, bind_mounts=({"source": source},))
    spec = run("t", "true", container=settings, application_packages=(package,))
    config = AgentConfig(node=replace(NODE, application_packages=(replace(package, application="pool"),)))
    variables = container_environment(config, spec, TASK_USER)
    assert ("AZ_BATCH_APP_PACKAGE_tool_1" in variables) is ("AZ_BATCH_APP_PACKAGE_pool_1" in variables) is seen


def test_an_unknown_bind_mount_is_refused_by_name() -> None:
    with pytest.raises(RunFailed) as caught:
        arguments(bind_mounts=({"source": "Home"},))
    assert "unknown source 'Home'" in str(caught.value.info.details)


def test_the_preparations_folder_can_be_mounted_where_there_is_one(tmp_path: object) -> None:
    config = replace(CONFIG, root=str(tmp_path))
    settings = replace(SETTINGS, bind_mounts=({"source": "JobPrep", "isReadOnly": True},))
    names = {"AZ_BATCH_JOB_PREP_DIR": "/mnt/batch/tasks/workitems/job/job-1/prep"}
    spec = run("t", "", container=settings, environment=names, preparation_directory="workitems/job/job-1/prep")
    words = create_arguments(config, spec, settings, TASK_USER, "/env")
    folder = f"{tmp_path}/workitems/job/job-1/prep"
    assert pairs(words, "--volume") == [f"{folder}:{folder}:ro"]
    assert container_environment(config, spec, TASK_USER)["AZ_BATCH_JOB_PREP_DIR"] == folder
    bare = replace(spec, container=replace(settings, bind_mounts=()))
    assert "AZ_BATCH_JOB_PREP_DIR" not in container_environment(config, bare, TASK_USER)
    with pytest.raises(RunFailed) as caught:
        create_arguments(config, replace(spec, preparation_directory=""), settings, TASK_USER, "/env")
    assert "unknown source 'JobPrep'" in str(caught.value.info.details)


def test_no_value_of_the_environment_is_on_the_command_line() -> None:
    spec = run("t", "", container=SETTINGS, environment={"TOKEN": "s3cret", "LONG": "two\nlines"})
    words = create_arguments(CONFIG, spec, SETTINGS, TASK_USER, "/env", ["LONG"])
    assert "s3cret" not in " ".join(words)
    assert pairs(words, "--env") == ["LONG"]


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("alpine", ("alpine", "latest")),
        ("127.0.0.1:5000/worker", ("127.0.0.1:5000/worker", "latest")),
        ("127.0.0.1:5000/worker:2", ("127.0.0.1:5000/worker", "2")),
        ("127.0.0.1:5000/worker@sha256:ab", ("127.0.0.1:5000/worker", "sha256:ab")),
    ],
)
def test_a_reference_is_taken_apart_around_its_tag_or_digest(image: str, parts: tuple[str, str]) -> None:
    assert split_reference(image) == parts
