"""The pipelines rehearsed: what each workflow file runs, in order, on the local Azure with the real CLI.

A person makes stacks dev and prod by hand (docs/ci.md, "The first run"). Then a pull request, its second push, the main
branch, the nightly look for drift, and the end. Each job gets a fresh clone and runs the `run:` lines of its file
(`tests/ci/workflow.py`), signed in as the identity that `bootstrap/` made for its environment, by an identity token of
GitHub's which the local Azure's authority takes. What plays: GitHub's API and its issuer (`tests/ci/github_server.py`),
and `az` (`tests/ci/fake_az.py`).
"""

from __future__ import annotations

import getpass
import json
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import docker
import pytest
import yaml

from local.azure.sql.provision import provision
from local.paths import Paths
from tests.ci import github_server, kept_comment, runner
from tests.ci.github_server import REPOSITORY, TOKEN, FakeGitHub, subject_of
from tests.ci.workflow import Workflow
from tests.figures import FIGURES
from tests.scenarios.checkout import SHARED, SOURCE, Checkout, Run
from tests.scenarios.deployed.stack import Stack

pytestmark = pytest.mark.docker
failed_steps: list[str] = []
"""Tests after a failed one are skipped (`conftest.py` of the scenarios)."""

STACKS: Final = ("dev", "prod")
GROUP: Final = "88888888-2222-3333-4444-555555555555"
PIPELINE: Final = "11111111-2222-3333-4444-555555555555"
"""An example in the stack files, for which a team writes its own."""
PASSWORDS: Final = {"adminPassword": "canary-of-the-admin-0aA!", "userPassword": "canary-of-the-user-0aA!"}
SECONDS: Final = 300


class Rehearsal:
    """The repository on GitHub, the runners, and the way to the local Azure."""

    def __init__(self, stack: Stack, github: FakeGitHub, folder: Path) -> None:
        self.stack = stack
        self.github = github
        self.folder = folder
        self.cloud: dict[str, Any] = stack.cloud
        self.origin = folder / "origin"
        self.summary = folder / "summary"
        self._runs = 0
        for name in STACKS:
            (folder / f"state-{name}").mkdir()
        self._make_origin()
        self.variables: dict[str, dict[str, str]] = self._bootstrap()
        """Of each GitHub environment, as the bootstrap printed them."""
        self._name_the_pipelines_as_submitters()
        self.commit("The platform")

    # -- who and where ------------------------------------------------------------------------------------------------

    def _bootstrap(self) -> dict[str, dict[str, str]]:
        """docs/ci.md, "The first run"; the states lie in folders of this machine instead."""
        runner.add_plugins(self.origin / "bootstrap" / "Pulumi.yaml")
        options = ["--repository", REPOSITORY, "--issuer", self.github.url]
        options += [f"--environment={name}={self.cloud['subscription_id']}" for name in STACKS]
        environment = {key: text for key, text in self.environment().items() if "PASSPHRASE" not in key}
        done = self.run(self.origin, shlex.join([".venv/bin/python", "-m", "ci.bootstrap", *options]), environment)
        assert done.code == 0, done.text
        printed: dict[str, dict[str, str]] = json.loads(done.out[done.out.index("\n{\n") :])["github_variables"]
        states = {f"PULUMI_BACKEND_URL_{name.upper()}": f"file://{self.folder}/state-{name}" for name in STACKS}
        return {
            name: {key: states.get(key, text) for key, text in variables.items()} for name, variables in printed.items()
        }

    def remove_bootstrap(self) -> None:
        """Its state lies in the checkout; everything in it is protected."""
        own = {"PULUMI_BACKEND_URL": f"file://{self.origin}/.bootstrap", "PULUMI_CONFIG_PASSPHRASE": ""}
        environment = {**self.environment(), **own}
        environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE")
        for words in ("state unprotect --all --yes", "destroy --yes --skip-preview"):
            line = f"pulumi {words} --stack shared --non-interactive --color=never"
            done = self.run(self.origin / "bootstrap", line, environment)
            assert done.code == 0, done.text

    def _name_the_pipelines_as_submitters(self) -> None:
        for name in STACKS:
            found: Any = self.stack.resources.resources.get_by_id(
                f"/subscriptions/{self.cloud['subscription_id']}/resourceGroups/rg-abp-ci/providers"
                f"/Microsoft.ManagedIdentity/userAssignedIdentities/id-abp-ci-{name}",
                api_version="2023-01-31",
            )
            file = self.origin / f"Pulumi.{name}.yaml"
            named = file.read_text().replace(PIPELINE, found.properties["principalId"])
            file.write_text(named.replace(f"{PIPELINE[:-1]}6", GROUP))

    def environment(self, subject: str | None = None) -> dict[str, str]:
        """What a machine has before a workflow says anything: a person's, or that of a job with this subject."""
        job = None if subject is None else self.github.start_job(subject)
        return {
            **runner.environment(self.folder, self.cloud, job),
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }

    # -- the repository -----------------------------------------------------------------------------------------------

    def _make_origin(self) -> None:
        """This checkout with the stack files of a team: its own ids, one node, and the local Azure's plugins."""
        self.origin.mkdir()
        checkout = Checkout(self.origin)
        runner.add_plugins(self.origin / "Pulumi.yaml")
        local = yaml.safe_load((self.stack.checkout.home / "stack" / "Pulumi.local.yaml").read_text())["config"]
        base = local["azure-batch-platform:worker"]["base_image"]
        checkout.edit("Pulumi.dev.yaml", "base_image: python:3.12-slim-bookworm", f"base_image: {base}")
        checkout.edit("Pulumi.dev.yaml", "fixed: {dedicated_nodes: 2}", "fixed: {dedicated_nodes: 1}")
        floor = "spot_with_dedicated_floor: {dedicated_nodes: %d, max_spot_nodes: %d}"
        checkout.edit("Pulumi.prod.yaml", floor % (4, 4), floor % (1, 1))
        for name in STACKS:
            checkout.edit(
                f"Pulumi.{name}.yaml", f"abp-{name}.database.windows.net", f'"{self.cloud["sql"]["server_from_nodes"]}"'
            )
        checkout.edit("Pulumi.dev.yaml", "type: Group", "type: ServicePrincipal")
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *words: str) -> str:
        who = ("-c", "user.name=team", "-c", "user.email=team@example.org")
        return subprocess.run(["git", *who, *words], cwd=self.origin, check=True, capture_output=True, text=True).stdout

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def push(self, message: str, *edits: tuple[str, str, str]) -> None:
        """The pull request's branch: main, and one commit with these edits."""
        self.git("checkout", "--quiet", "-B", "change", "main")
        for name, old, new in edits:
            text = (self.origin / name).read_text()
            assert old in text, f"{name} does not contain {old!r}"
            (self.origin / name).write_text(text.replace(old, new))
        self.commit(message)

    def clone(self, branch: str) -> Path:
        """A runner's folder: another path and another umask each time."""
        self._runs += 1
        place = self.folder / f"runner-{self._runs}"
        words = ["clone", "--quiet", "--depth", "2", "--branch", branch, f"file://{self.origin}", str(place)]
        subprocess.run(["git", *words], check=True, umask=(0o022, 0o002, 0o077)[self._runs % 3])
        for name in SHARED:
            (place / name).symlink_to(SOURCE / name)
        return place

    # -- runs ---------------------------------------------------------------------------------------------------------

    def run(self, place: Path, line: str, environment: dict[str, str]) -> Run:
        """A command as a runner runs it: by bash, in the clone."""
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-e", "-c", line],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        FIGURES.append(f"rehearsal {line.partition(' -m ')[2] or line:70} {time.monotonic() - began:6.1f} s")
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return Run(done.returncode, done.stdout, done.stderr)

    def workflow(
        self, name: str, *, branch: str = "main", subject: str | None = None, **context: str
    ) -> dict[str, Run]:
        """Run a workflow's jobs; the last command of each. No job runs after one that failed.

        `subject`: of the identity tokens, instead of the one of the job's environment. `context`: what expressions may
        name, with `__` for each dot.
        """
        workflow = Workflow(
            name, {"github.token": TOKEN, **{key.replace("__", "."): text for key, text in context.items()}}
        )
        done: dict[str, Run] = {}
        for each, runs in workflow.jobs():
            if not runs:
                continue
            where = workflow.environment_of(each)
            variables = {f"vars.{key}": text for key, text in self.variables[where].items()}
            place = self.clone(branch)
            for command in workflow.job(each, variables).commands:
                job = self.environment(subject or subject_of(where))
                environment = {**job, **command.environment, **self.event(name)}
                done[each] = self.run(place, command.line, environment)
                if done[each].code:
                    return done
        return done

    def event(self, name: str) -> dict[str, str]:
        file = self.folder / "event.json"
        repository = {"full_name": REPOSITORY}
        file.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": "abc", "repo": repository}}}))
        started = {"preview": "pull_request", "deploy": "push", "drift": "schedule", "destroy": "workflow_dispatch"}
        return {"GITHUB_EVENT_NAME": started[name], "GITHUB_EVENT_PATH": str(file)}

    def by_hand(self, name: str, *words: str, place: Path, stdin: str = "") -> str:
        """A command of Pulumi's that a person types."""
        environment = {**self.environment(), "PULUMI_BACKEND_URL": f"file://{self.folder}/state-{name}"}
        done = subprocess.run(
            ["pulumi", *words, "--stack", name, "--non-interactive", "--color=never"],
            cwd=place,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"pulumi {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def remove(self, name: str) -> None:
        """Whatever is left of a stack, at the end."""
        state = json.loads(self.by_hand(name, "stack", "export", place=self.origin))["deployment"]
        if state.get("resources"):
            self.by_hand(name, "state", "unprotect", "--all", "--yes", place=self.origin)
            self.by_hand(name, "destroy", "--yes", "--skip-preview", place=self.origin)

    def outputs(self, name: str) -> dict[str, Any]:
        return json.loads(self.by_hand(name, "stack", "output", "--json", place=self.origin))

    def open_database(self, name: str) -> None:
        """docs/sql.md: the node identity becomes a user of the database."""
        outputs = json.dumps(self.outputs(name))
        script = subprocess.run(
            [sys.executable, "-m", "infra.sql"],
            cwd=self.origin,
            input=outputs,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        provision(Paths(self.stack.checkout.home), json.loads(outputs)["sql"]["database"], script)


@pytest.fixture(scope="module")
def github(stack: Stack) -> Iterator[FakeGitHub]:
    with github_server.running(Paths(stack.checkout.home)) as fake:
        yield fake


@pytest.fixture(scope="module")
def rehearsal(stack: Stack, github: FakeGitHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    made = Rehearsal(stack, github, tmp_path_factory.mktemp("pipelines"))
    yield made
    for name in STACKS:
        if (made.folder / f"state-{name}" / ".pulumi").exists():
            made.remove(name)
    made.remove_bootstrap()
    # Tags that the engine keeps of the image that was built for dev.
    engine = docker.from_env()
    for tag in [tag for image in engine.images.list() for tag in image.tags if tag.endswith("/docker-worker:dev")]:
        engine.images.remove(tag, noprune=True)


def test_a_person_makes_both_stacks_for_the_first_time(rehearsal: Rehearsal) -> None:
    place = rehearsal.origin
    for name in STACKS:
        rehearsal.by_hand(name, "stack", "init", place=place)
        if name == "prod":
            states = {key: text for key, text in rehearsal.variables["prod"].items() if "BACKEND" in key}
            environment = {**rehearsal.environment(), **states}
            line = ".venv/bin/python -m ci.promote --from dev --to prod --name-only"
            assert rehearsal.run(place, line, environment).code == 0
            for key, text in PASSWORDS.items():
                rehearsal.by_hand(name, "config", "set", "--secret", key, place=place, stdin=text)
        rehearsal.by_hand(name, "up", "--yes", "--skip-preview", "--policy-pack", "policy", place=place)
        rehearsal.open_database(name)
    rehearsal.commit("The first image of prod, and its passwords")


def texts(done: dict[str, Run]) -> str:
    return "\n".join(f"-- {name}: exit code {run.code}\n{run.text}" for name, run in done.items())


RISKY: Final = (
    ("Pulumi.dev.yaml", "vm_size: Standard_D2ads_v5\n", "vm_size: Standard_NC6s_v3\n      discard: ['{generation}']\n"),
    ("Pulumi.dev.yaml", "families: [hello, sql-check]", "families: [hello]"),
    ("Pulumi.dev.yaml", "role: operate", "role: submit"),
    ("ci/golden/dev.txt", "Standard_D2ads_v5", "Standard_NC6s_v3"),
)
"""A new generation of the pool, on a size that is past its end; lost output; a role taken and others given."""


def test_a_pull_request_shows_everything_that_a_reviewer_must_see_in_one_comment(
    rehearsal: Rehearsal, github: FakeGitHub
) -> None:
    generation = rehearsal.outputs("dev")["pool_generations"]["default"]["current"]
    rehearsal.push("Faster", *((file, old, new.format(generation=generation)) for file, old, new in RISKY))
    ours = {"github__event__pull_request__head__repo__full_name": REPOSITORY, "github__repository": REPOSITORY}
    done = rehearsal.workflow("preview", branch="change", **ours)["preview"]
    assert done.code == 1, done.text
    (comment,) = github.comments
    for words in kept_comment.MUST_SHOW:
        assert words in comment["body"], comment["body"]
    kept_comment.accept_if_asked(comment["body"])
    shown = comment["body"] + rehearsal.summary.read_text() + done.text
    for secret in (*PASSWORDS.values(), rehearsal.cloud["client_secret"], *github.subjects):
        assert secret not in shown


CHANGE: Final = (
    ("Pulumi.prod.yaml", f"{GROUP}, type: Group, role: operate", f"{GROUP}, type: Group, role: submit"),
    ("worker/docker_worker/check.py", 'log("done")', 'log("done", edition="of the rehearsal")'),
)


def test_the_next_push_edits_the_comment(rehearsal: Rehearsal, github: FakeGitHub) -> None:
    rehearsal.push("Another worker; the group only submits", *CHANGE)
    ours = {"github__event__pull_request__head__repo__full_name": REPOSITORY, "github__repository": REPOSITORY}
    done = rehearsal.workflow("preview", branch="change", **ours)["preview"]
    assert done.code == 0, done.text
    (comment,) = github.comments
    assert "Refused by a policy" not in comment["body"] and "Data would be lost" not in comment["body"]
    assert "**takes away** `Azure Batch Data Contributor`" in comment["body"]
    assert "Stack `dev`: 1 changed" in comment["body"], "the image, and nothing that another clone makes different"


def test_a_forks_pull_request_runs_nothing_that_has_an_identity(rehearsal: Rehearsal) -> None:
    fork = {"github__event__pull_request__head__repo__full_name": "mallory/fork", "github__repository": REPOSITORY}
    assert rehearsal.workflow("preview", branch="change", **fork) == {}


def test_tokens_of_a_fork_sign_in_nowhere_though_the_workflow_should_let_it_run(rehearsal: Rehearsal) -> None:
    ours = {"github__event__pull_request__head__repo__full_name": REPOSITORY, "github__repository": REPOSITORY}
    stranger = subject_of("preview", "mallory/platform")
    done = rehearsal.workflow("preview", branch="change", subject=stranger, **ours)["preview"]
    assert done.code == 1 and "AADSTS700213" in done.text and stranger in done.text, done.text
    assert re.search(r"^prod: no plan \(failed\)$", done.err, re.MULTILINE)


def test_main_takes_over_a_cancelled_runs_lock_and_brings_the_image_of_dev_to_prod(rehearsal: Rehearsal) -> None:
    rehearsal.git("checkout", "--quiet", "-B", "main", "change")
    before = {name: rehearsal.outputs(name) for name in STACKS}
    locks = rehearsal.folder / "state-dev" / ".pulumi" / "locks" / "organization" / "azure-batch-platform" / "dev"
    locks.mkdir(parents=True, exist_ok=True)
    lock = {"pid": 4242, "username": getpass.getuser(), "hostname": "runner-7", "timestamp": "2026-11-26T20:00:00Z"}
    (locks / f"{uuid.uuid4()}.json").write_text(json.dumps(lock))
    done = rehearsal.workflow("deploy")
    assert [(name, run.code) for name, run in done.items()] == [("dev", 0), ("prod", 0)], texts(done)
    assert "@runner-7 (process 4242) since 2026-11-26T20:00:00Z: that run was cancelled" in done["dev"].err
    for name, run in done.items():
        assert f"==> wait for the nodes of stack {name}" in run.err and "4 succeeded, 0 failed" in run.text
        assert "of the rehearsal" in run.out, "the smoke job ran the worker that was merged"
    after = {name: rehearsal.outputs(name) for name in STACKS}
    digests = {name: after[name]["worker_image"].partition("@")[2] for name in STACKS}
    assert digests["dev"] == digests["prod"] != before["dev"]["worker_image"].partition("@")[2]
    assert after["dev"]["registry_server"] != after["prod"]["registry_server"]
    assert after["dev"]["pools"].keys() == before["dev"]["pools"].keys()


def test_drift_opens_one_issue_that_says_what_differs_and_closes_it_when_nothing_does(
    rehearsal: Rehearsal, github: FakeGitHub
) -> None:
    outputs = rehearsal.outputs("prod")
    accounts: Any = rehearsal.stack.batch_management.batch_account  # a model would send more than the tags
    where = (outputs["resource_group"], outputs["batch_account"])
    tags = accounts.get(*where).tags or {}
    accounts.update(*where, {"tags": {**tags, "owner": "changed by hand"}})
    assert rehearsal.workflow("drift")["drift"].code == 0
    (issue,) = github.issues
    assert "`batch:BatchAccount` `batch`" in issue["body"] and "changed by hand" in issue["body"]
    assert "Stack `dev`" not in issue["body"]
    accounts.update(*where, {"tags": dict(tags)})
    # Another clone with other modes, another identity, and a file that names an older image: none of it is drift.
    assert rehearsal.workflow("drift")["drift"].code == 0
    assert issue["state"] == "closed" and len(github.issues) == 1


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [("prod", "prod", "stack prod has protected resources: "), ("dev", "prod", "the typed name is 'prod'")],
)
def test_destroy_refuses_what_is_protected_or_mistyped(rehearsal: Rehearsal, name: str, typed: str, told: str) -> None:
    words = {"github__ref": "refs/heads/main", "inputs__stack": name, "inputs__typed": typed}
    done = rehearsal.workflow("destroy", **words)["destroy"]
    assert done.code == 2 and told in done.err


def test_destroying_runs_from_the_main_branch_only(rehearsal: Rehearsal) -> None:
    words = {"github__ref": "refs/heads/change", "inputs__stack": "dev", "inputs__typed": "dev"}
    assert rehearsal.workflow("destroy", **words) == {}


def test_destroy_leaves_nothing_of_dev(rehearsal: Rehearsal) -> None:
    group = rehearsal.outputs("dev")["resource_group"]
    words = {"github__ref": "refs/heads/main", "inputs__stack": "dev", "inputs__typed": "dev"}
    done = rehearsal.workflow("destroy", **words)["destroy"]
    assert done.code == 0 and re.search(r"^stack dev: nothing is left$", done.err, re.MULTILINE), done.text
    assert group not in {one.name for one in rehearsal.stack.resources.resource_groups.list()}
