"""Project and stack files: what is read from them, and what is said about those that cannot be used."""

import pytest
import yaml

from local.engine.codec import Secret
from local.engine.errors import ConfigError, EngineError, SecretsError
from local.engine.project import OFFLINE_VARIABLE, Project
from local.engine.stack_file import set_secret


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
    (tmp_path / "__main__.py").write_text("")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    return tmp_path


def load(folder, settings=None, *, project=None, passphrase: str | None = "pw", offline=None):
    if settings is not None:
        (folder / "Pulumi.dev.yaml").write_text(settings)
    if project is not None:
        (folder / "Pulumi.yaml").write_text(project)
    files = folder / "Pulumi.yaml", folder / "Pulumi.dev.yaml", folder / "home"
    return Project.load(*files, passphrase=passphrase, environment={"A": "b"}, offline=offline)


def test_names_places_and_environment(folder):
    project = load(folder)
    assert (project.name, project.stack, project.main) == ("demo", "dev", folder)
    assert project.state_file == folder / "home" / ".pulumi" / "stacks" / "demo" / "dev.json"
    assert project.environment == {"A": "b"} and "pw" not in repr(project)


def test_the_program_may_be_elsewhere(folder):
    local = folder / "local"
    local.mkdir()
    (local / "Pulumi.yaml").write_text("name: demo\nmain: ..\nplugins: {providers: [{name: cloud, path: .}]}\n")
    stack_file = folder / "Pulumi.dev.yaml"
    project = Project.load(local / "Pulumi.yaml", stack_file, folder, passphrase=None, environment={})
    assert project.main == folder and project.plugin_dirs == {"cloud": local}


def test_values_become_what_the_sdk_expects(folder):
    config = load(folder, "config: {demo:a: text, b: 3, demo:c: true, other:d: {x: [1, {y: z}]}}").config
    assert config == {"demo:a": "text", "demo:b": "3", "demo:c": "true", "other:d": '{"x": [1, {"y": "z"}]}'}


def test_secrets_are_set_and_read_and_a_nested_one_hides_the_whole_value(folder):
    file = folder / "Pulumi.dev.yaml"
    set_secret(file, "demo:pw", "hush", "pw")
    set_secret(file, "demo:other", "hush too", "pw")
    body = yaml.safe_load(file.read_text())
    body["config"]["demo:nested"] = {"user": "u", "password": body["config"]["demo:pw"]}
    config = load(folder, yaml.safe_dump(body, sort_keys=False)).config
    assert config["demo:pw"] == Secret("hush") and config["demo:other"] == Secret("hush too")
    assert config["demo:nested"] == Secret('{"user": "u", "password": "hush"}')
    assert "hush" not in file.read_text()


def test_setting_the_same_secret_again_leaves_the_file_alone(folder):
    file = folder / "Pulumi.dev.yaml"
    set_secret(file, "demo:pw", "hush", "pw")
    before = file.read_text()
    set_secret(file, "demo:pw", "hush", "pw")
    assert file.read_text() == before
    with pytest.raises(SecretsError, match="incorrect passphrase"):
        set_secret(file, "demo:pw", "hush", "other")


@pytest.mark.parametrize(
    "settings, says",
    [
        ("config: [1]", "config must be a map of keys to values, got list"),
        ("config: {demo:a: }", "demo:a has no value"),
        ("config: {demo:a: 2024-01-01}", "demo:a is a date, which has no JSON form"),
        ("config: {'demo:a:b': 1}", "'demo:a:b' is not a configuration key"),
        ("confg: {}", "unknown key 'confg'; known are config"),
        ("environment: [x]", r"environment \(Pulumi ESC\) is not supported"),
        ("config: {a", "line 1: not YAML"),
        ("- 1", "must be a map, got list"),
        ("config: {pw: {secure: 'v1:AAAA:AAAA'}}", "demo:pw is secret, but there is no encryptionsalt"),
        ("config: {pw: {secure: 3}}", "demo:pw.secure must be text, got int"),
    ],
)
def test_stack_files_that_cannot_be_used(folder, settings, says):
    with pytest.raises(EngineError, match=says):
        load(folder, settings)


def test_a_secret_without_a_passphrase_and_a_damaged_one_are_named(folder):
    file = folder / "Pulumi.dev.yaml"
    set_secret(file, "demo:pw", "hush", "pw")
    with pytest.raises(SecretsError, match="demo:pw is secret; set PULUMI_CONFIG_PASSPHRASE"):
        load(folder, passphrase=None)
    body = yaml.safe_load(file.read_text())
    body["config"]["demo:pw"]["secure"] = "v1:AAAA:AAAA"
    with pytest.raises(SecretsError, match=r"Pulumi\.dev\.yaml: demo:pw cannot be decrypted"):
        load(folder, yaml.safe_dump(body))


@pytest.mark.parametrize(
    "project, says",
    [
        ("runtime: python", "name must be the project's name, got None"),
        ("name: demo\nmain: nowhere", "there is no program"),
        ("name: demo\nplugins: {providers: [{name: x}]}", "plugins.providers must be a list"),
        ("name: demo\nplugins: {providers: [{name: x, path: nowhere}]}", "nowhere .plugin x. is not a folder"),
    ],
)
def test_project_files_that_cannot_be_used(folder, project, says):
    with pytest.raises(ConfigError, match=says):
        load(folder, project=project)


def test_files_that_are_not_there_are_named(folder):
    (folder / "Pulumi.dev.yaml").unlink()
    with pytest.raises(ConfigError, match=r"stack file .*Pulumi.dev.yaml cannot be read: No such file"):
        load(folder)
    with pytest.raises(ConfigError, match=r"expected Pulumi\.<stack>\.yaml"):
        Project.load(folder / "Pulumi.yaml", folder / "dev.yaml", folder, passphrase=None, environment={})


def test_offline_secrets_are_placeholders_and_the_plugins_are_told(folder):
    offline = folder / "offline.yaml"
    offline.write_text("secrets: {pw: '<password>', later: '<not set yet>'}\nsubscription: x\n")
    project = load(folder, "config: {pw: {secure: v1:AAAA:AAAA}}", passphrase=None, offline=offline)
    assert project.config == {"demo:pw": Secret("<password>"), "demo:later": Secret("<not set yet>")}
    assert project.environment[OFFLINE_VARIABLE] == str(offline)
