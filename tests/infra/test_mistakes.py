"""Mistakes in stack files: each has its message with key, what is allowed, the value and the fix; nothing is made."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from infra.settings.cloud import EXAMPLE_DIGEST
from infra.settings.problems import SettingsError
from tests.infra.recording import (
    PASSWORDS,
    SUBSCRIPTION,
    Run,
    run_program,
    stack_config,
)

SUBNET = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
ZONE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/"
ACCOUNT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/s/providers/Microsoft.Storage/storageAccounts/s"
WORKSPACE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/l/providers/Microsoft.OperationalInsights/workspaces/w"
SOMEBODY = "33333333-2222-3333-4444-555555555555"
IDENTITIES = "Microsoft.ManagedIdentity"
IDENTITY = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/i/providers/{IDENTITIES}/userAssignedIdentities/i"
POOL = {"vm_size": "Standard_D2ads_v5", "scale": {"fixed": {}}}
PASSWORD = "admin-password-for-tests"

MISTAKES: list[tuple[str, Any, str]] = [
    ("pool", {"vm_size": "x"}, "pool: expected one of * got the unknown key pool; write instead: pools: {default:"),
    ("deployer_type", "User", "deployer_type: expected one of * write instead: submitters: [{object_id: ..."),
    ("locaton", "westeurope", "locaton: expected one of * got the unknown key locaton; did you mean location?"),
    ("pools", {}, "pools: expected names and sections with vm_size and scale, got {}; see Pulumi.dev.yaml"),
    ("pools.a b", POOL, "pools.a b: expected 1 to 51 letters, digits, - or _, got 'a b'; job files name it in j"),
    ("pools.Default", POOL, "pools: expected names that differ in more than case, got default; for Batch these are"),
    ("pools.default.dedicated_nodes", 2, "pools.default.dedicated_nodes: * write instead: scale: {fixed: {dedicated"),
    ("pools.default.vm_size", "D2", "pools.default.vm_size: expected a VM size like Standard_D2ads_v5, got 'D2'; take"),
    ("pools.default.vm_size", None, "pools.default.vm_size: expected a VM size like * but it is missing; take one"),
    ("pools.default.task_slots_per_node", 9, "pools.default.task_slots_per_node: expected at most 8, four times the 2"),
    (
        "pools.default.task_slots_per_node",
        0,
        "pools.default.task_slots_per_node: expected a whole number 1..256, got 0",
    ),
    ("pools.default.prefetch_worker_image", "yes", "pools.default.prefetch_worker_image: expected true or false, got"),
    ("pools.default.fill", "random", "pools.default.fill: expected spread or pack, got 'random'; spread: tasks on as"),
    ("pools.default.node_image", {"sku": 1804}, "pools.default.node_image.sku: expected 2404 or 2204, got '1804'; im"),
    ("pools.default.scale", {}, "pools.default.scale: expected one of fixed, * got none; like {fixed:"),
    ("pools.default.scale", {"auto": 1}, "pools.default.scale.auto: expected one of fixed, pending_tasks, * unknown"),
    (
        "pools.default.scale",
        {"fixed": {}, "pending_tasks": {"max_nodes": 1}},
        "pools.default.scale: expected one of * got fixed and pending_tasks; like",
    ),
    ("pools.default.scale.fixed.dedicated_nodes", 250, "pools.default.scale.fixed.dedicated_nodes: * 0..100, got 250;"),
    (
        "pools.default.scale",
        {"pending_tasks": {"min_nodes": 5, "max_nodes": 2}},
        "pools.default.scale.pending_tasks.min_nodes: expected at most max_nodes, 2, got 5; raise max_nodes",
    ),
    (
        "pools.default.scale",
        {"working_hours": {"nodes": 2, "from_hour": 18, "to_hour": 6}},
        "pools.default.scale.working_hours.to_hour: expected an hour after from_hour, 18, got 6; hours are UTC",
    ),
    (
        "pools.default.scale",
        {"zero_at_night": {"max_nodes": 2, "night_from_hour": 24}},
        "pools.default.scale.zero_at_night.night_from_hour: expected an hour 0..23 in UTC, got 24; formulas know no",
    ),
    ("pools.default.ssh_from", ["0.0.0.0/0"], "pools.default.ssh_from[0]: * would let everybody in), got"),
    ("pools.default.ssh_from", ["2.0.0.0/6"], "pools.default.ssh_from[0]: expected a network of /8 or narrower * got"),
    ("pools.default.ssh_from", ["2001:db8::/32"], "pools.default.ssh_from[0]: expected an IPv4 network (Batch gives"),
    (
        "pools.default.ssh_from",
        ["10.1.2.300"],
        "pools.default.ssh_from[0]: expected a network like 203.0.113.0/24, got",
    ),
    ("pools.default.ssh_from", ["203.0.113.7/24"], "pools.default.ssh_from[0]: * (203.0.113.0/24), got * write 203.0."),
    (
        "pools.default.ssh_from",
        ["203.0.113.0/24", "203.0.113.7"],
        "pools.default.ssh_from: expected networks that do not overlap, got 203.0.113.0/24 and 203.0.113.7/32; remove",
    ),
    ("pools.default.start_steps", {"docker": "true"}, "pools.default.start_steps.docker: * one of the platform's own"),
    ("pools.default.start_steps", {"jq": "if true"}, "pools.default.start_steps.jq: expected shell statements on one"),
    ("pools.default.keep", ["default-0123"], "pools.default.keep[0]: expected the 12 hexadecimal digits at the end of"),
    (
        "pools.default.keep",
        [123456789012],
        "pools.default.keep[0]: * got the number 123456789012; put it in quotes: YAML",
    ),
    (
        "pools.default.keep",
        [1234567890e1],
        "pools.default.keep[0]: * got the number 12345678900.0; put it in quotes: YA",
    ),
    (
        "pools.default.vm_size",
        "standard_d4_v3",
        "pools.default.vm_size: expected a size that boots images of generation 2, *",
    ),
    (
        "pools.default.vm_size",
        "Standard_A2m_v2",
        "pools.default.vm_size: * got Standard_A2m_v2, which boots generation 1 o",
    ),
    (
        "pools.default.vm_size",
        4,
        "pools.default.vm_size: expected a VM size like Standard_D2ads_v5, got 4; put it in quotes, for YA",
    ),
    (
        "pools.default.vm_size",
        "Standard_D2\N{FULLWIDTH LATIN SMALL LETTER A}ds_v5",
        "pools.default.vm_size: expected a VM size like Standard_D2ads_v5, *",
    ),
    (
        "pools.default.task_slots_per_node",
        "2",
        "pools.default.task_slots_per_node: expected a whole number 1..256, got '2'",
    ),
    (
        "pools.default.task_slots_per_node",
        2.5,
        "pools.default.task_slots_per_node: expected a whole number 1..256, got 2.5",
    ),
    (
        "pools.default.scale",
        "fixed",
        "pools.default.scale: expected a section like {fixed: {dedicated_nodes: 2}}, got 'fi",
    ),
    (
        "pools.default.scale.fixed.dedicated_nodes",
        True,
        "pools.default.scale.fixed.dedicated_nodes: * 0..100, got True;",
    ),
    (
        "pools.default.scale.fixed.dedicated_node",
        2,
        "pools.default.scale.fixed.dedicated_node: * mean dedicated_nodes?",
    ),
    (
        "pools.default.ssh_from",
        "203.0.113.7",
        "pools.default.ssh_from: expected a list of 0..24 networks like 203.0.113.0",
    ),
    (
        "pools.default.ssh_from",
        [203.0],
        "pools.default.ssh_from[0]: expected a network like 203.0.113.0/24, got 203.0; put it in",
    ),
    (
        "pools.default.ssh_from",
        ["10.0.0.0/8"],
        "pools.default.ssh_from[0]: expected public addresses (no packet from a p",
    ),
    ("pools", [POOL], "pools: expected names and sections with vm_size and scale, got [{"),
    (
        "pools.größe",
        POOL,
        "pools.größe: expected 1 to 51 letters, digits, - or _, got 'größe'; job files name it in job.po",
    ),
    (
        "families",
        "hello",
        "families: expected a list of at least one job family, got 'hello'; each gets its own blob co",
    ),
    (
        "families",
        ["hello", "hello"],
        "families: expected names with containers of their own, got 'hello' and 'hello', wh",
    ),
    (
        "families",
        ["nächtlich"],
        "families[0]: expected 1 to 64 letters, digits, - or _, like nightly-load, got 'nächtlich'",
    ),
    (
        "families",
        ["hello", 2024],
        "families[1]: expected 1 to 64 letters, * got 2024; put it in quotes, for YAML it is a number; ren",
    ),
    (
        "tags",
        {"owner": True},
        "tags.owner: * got True; put it in quotes, for YAML it is a truth value; Azure's tags are texts",
    ),
    (
        "monitoring",
        "",
        "monitoring: expected a section with workspace_id and emails, got ''; left out: nothing is watched",
    ),
    (
        "prefix",
        "Abp-1",
        "prefix: expected 2 to 8 lower-case letters or digits, a letter first, got 'Abp-1'; every resource",
    ),
    (
        "prefix",
        "abcdefghi",
        "prefix: expected 2 to 8 lower-case letters or digits, a letter first, got 'abcdefghi'; every",
    ),
    ("location", "Europa (Westen)!", "location: expected an Azure region like westeurope, got "),
    ("protect", "ja", "protect: expected true or false, got 'ja'; true keeps all that holds data from"),
    ("sql", "db.example", "sql: expected a section with server and database, got 'db.example'; see Pulumi.dev.yaml"),
    (
        "sql",
        {"server": "tcp:db.example", "database": "w"},
        "sql.server: expected a host name, with ,port if not 1433, got",
    ),
    (
        "sql",
        {"server": "db.example"},
        "sql.database: expected a database name of 1 to 128 characters * but it is missing;",
    ),
    (
        "submitters",
        {"object_id": SOMEBODY},
        "submitters: expected a list of {object_id, type, role}, or the word deployer",
    ),
    (
        "submitters",
        [{"object_id": SOMEBODY}],
        "submitters[0].type: expected User, Group or ServicePrincipal, but it is mis",
    ),
    (
        "submitters",
        [SOMEBODY],
        "submitters[0]: expected a list of {object_id, type, role}, or the word deployer, got '33333",
    ),
    (
        "worker",
        {"base_image": "python:3", "image": f"w@{EXAMPLE_DIGEST}"},
        "worker: expected either base_image * got both",
    ),
    (
        "worker",
        {"base_image": "Python 3"},
        "worker.base_image: expected an image reference like python:3.12-slim-bookworm",
    ),
    (
        "network",
        {"allowed_ips": ["192.168.1.0/24"]},
        "network.allowed_ips[0]: expected public addresses (no packet from a",
    ),
    (
        "network",
        {"subnet_id": SUBNET, "subnet_range": "10.0.0.0/6"},
        "network.subnet_range: expected a range of /8 to /29",
    ),
    (
        "network",
        {"subnet_id": SUBNET, "subnet_range": "10.0.0.7/24"},
        "network.subnet_range: * (10.0.0.0/24), got '10.0.0",
    ),
    (
        "network",
        {"subnet_id": SUBNET, "subnet_range": "fd00::/64"},
        "network.subnet_range: expected a subnet's range like",
    ),
    (
        "network",
        {"subnet_id": SUBNET.replace("subnets", "subnet")},
        "network.subnet_id: expected an id like /subscription",
    ),
    (
        "monitoring",
        {"workspace_id": WORKSPACE, "emails": ["a@b.de", "A@b.de"]},
        "monitoring.emails: expected each address once, got a@b.de twice; remove one of them",
    ),
    (
        "monitoring",
        {"workspace_id": WORKSPACE, "emails": ["a@b.de"], "budget": {"monthly_amount": "500", "since": "2026-12-01"}},
        "monitoring.budget.monthly_amount: expected a whole number of the subscription's currency, 1 or more, got '50",
    ),
    (
        "tags",
        {"owner": 7},
        "tags.owner: expected names and texts like {environment: prod, owner: team-batch}, got 7; put it i",
    ),
    (
        "tags",
        ["owner"],
        "tags: expected names and texts like {environment: prod, owner: team-batch}, got ['owner']; Azure's",
    ),
    ("families", ["Hello", "hello"], "families: expected names with containers of their own, got 'hello' and 'Hello'"),
    (
        "submitters",
        None,
        "submitters: expected a list of {object_id, type, role}, or the word deployer, but it is miss",
    ),
    (
        "submitters",
        "me",
        "submitters: expected a list of * got 'me'; deployer is right for one person's own stack only",
    ),
    (
        "submitters",
        [{"object_id": "me", "type": "User"}],
        "submitters[0].object_id: expected an object id like 1111111",
    ),
    (
        "submitters",
        [{"object_id": SOMEBODY, "type": "User", "role": "admin"}],
        "submitters[0].role: expected submit or operate, got 'admin'; operate may also",
    ),
    (
        "submitters",
        [{"object_id": SOMEBODY, "type": "User"}] * 2,
        "submitters: expected each object id once, got 33333",
    ),
    ("worker", {}, "worker: expected either base_image (it is built) or image (it exists), got neither; see docs/sett"),
    ("worker", {"image": "docker-worker:1.2"}, "worker.image: expected an image by digest like docker-worker@sha256:"),
    ("registry", {"server": "x.azurecr.io"}, "registry.server: expected id beside it, got none; Azure says the server"),
    ("registry", {"id": "shared"}, "registry.id: expected an id like /subscriptions/* got 'shared'; copy it from `az"),
    (
        "storage",
        {"id": ACCOUNT, "soft_delete_days": 3},
        "storage.soft_delete_days: expected nothing beside id: an exis",
    ),
    ("auto_storage", "keys", "auto_storage: expected managed_identity or none, got 'keys'; none: the account links no"),
    (
        "node_identity",
        {"id": IDENTITY, "client_id": SOMEBODY},
        "node_identity.principal_id: expected an object id like * but it is missing; `az identity show` prints",
    ),
    ("network", {"public_ips": False}, "network.public_ips: expected subnet_id beside false, got none; nodes without"),
    (
        "network",
        {"subnet_id": SUBNET, "subnet_range": "172.17.3.0/24"},
        "network.subnet_range: expected a range outside of 172.17.0.0/16, which Docker uses on every node, got 172.17.",
    ),
    (
        "network",
        {"private_endpoints": {"subnet_id": SUBNET}},
        "network.private_endpoints: expected at least one of bat",
    ),
    (
        "network",
        {"private_endpoints": {"subnet_id": SUBNET, "batch_zone_id": f"{ZONE}privatelink.azurecr.io"}},
        "network.private_endpoints.batch_zone_id: expected the zone privatelink.batch..., got 'privatelink.azurecr.io'",
    ),
    (
        "monitoring",
        {"workspace_id": WORKSPACE, "emails": ["team"]},
        "monitoring.emails[0]: expected a mail address, got",
    ),
    (
        "monitoring",
        {"workspace_id": WORKSPACE, "emails": ["a@b.c"], "budget": {"monthly_amount": 5, "since": "2026-12-24"}},
        "monitoring.budget.since: expected the first day of a month, got 2026-12-24; write 2026-12-01",
    ),
    (
        "users",
        {"admin_name": "root"},
        "users.admin_name: expected a name that Linux does not have already, got root; l",
    ),
    (
        "users",
        {"admin_name": "guest", "user_name": "guest"},
        "users.user_name: expected another name than admin_name's",
    ),
    (
        "subscription_id",
        "mine",
        "subscription_id: expected an id like 11111111-2222-3333-4444-555555555555, got 'mine'",
    ),
    ("tags", {"owner": ""}, "tags.owner: expected a text of 1 to 256 characters, got one of 0; change it"),
    (
        "pools.default.vm_size",
        f"Standard_{'D' * 80}",
        "pools.default.vm_size: expected a VM size like * got 'Standard_DDD",
    ),
    (
        "pools.default.scale",
        {"pending_tasks": {"max_nodes": 0}},
        "pools.default.scale.pending_tasks.max_nodes: expected 1 or more nodes, got 0; a pool without nodes is {fix",
    ),
    (
        "pools.default.scale",
        {"zero_at_night": {"max_nodes": 0}},
        "pools.default.scale.zero_at_night.max_nodes: expected 1",
    ),
    *(
        (
            "pools.default.ssh_from",
            [network],
            "pools.default.ssh_from[0]: expected public addresses (no packet from a p",
        )
        for network in ("169.254.1.1", "100.64.0.0/10", "0.0.0.0/8", "224.0.0.0/8", "240.1.2.3")
    ),
    (
        "pools.default.ssh_from",
        ["203.0.113.0-203.0.113.9"],
        "pools.default.ssh_from[0]: expected a network like 203.0.",
    ),
    (
        "pools.default.ssh_from",
        ["203.0.113.007"],
        "pools.default.ssh_from[0]: expected a network like 203.0.113.0/24, got",
    ),
    (
        "pools.default.keep",
        ["0123456789ab"] * 2,
        "pools.default.keep: expected each generation once, got 0123456789ab 2 t",
    ),
    (
        "pools.default.discard",
        ["0123456789ab"] * 3,
        "pools.default.discard: expected each generation once, * 3 times; re",
    ),
    ("pools.default.keep", ["0123456789AB"], "pools.default.keep[0]: expected the 12 hexadecimal digits at the end of"),
    (
        "pools.default.node_image",
        {"sku": "22.04"},
        "pools.default.node_image.sku: expected 2404 or 2204, got '22.04'; im",
    ),
    (
        "pools.default.node_image",
        {"version": 24.04},
        "pools.default.node_image.version: * got 24.04; put it in quotes, f",
    ),
    (
        "pools.default.scale.fixed.dedicated_nodes",
        float("nan"),
        "pools.default.scale.fixed.dedicated_nodes: * got nan;",
    ),
    ("pools.default.VM_size", "x", "pools.default.VM_size: expected one of vm_size, * did you mean vm_size?"),
    (
        "pools.default.start_steps",
        {"jq": ""},
        "pools.default.start_steps.jq: * the step has 0 characters; it needs 1 to",
    ),
    ("location", ["westeurope"], "location: expected an Azure region like westeurope, got ['westeurope']; its name"),
    (
        "prefix",
        "\u00e4bp",
        "prefix: expected 2 to 8 lower-case letters or digits, a letter first, got '\u00e4bp'; every",
    ),
    ("protect", "on", "protect: expected true or false, got 'on'; true keeps all that holds data from"),
    ("protect", 1, "protect: expected true or false, got '1'; true keeps all that holds data from"),
    (
        "tags",
        {"Azure-owner": "x"},
        "tags: expected names that do not begin with microsoft, azure, windows, which Azure k",
    ),
    (
        "tags",
        {"owner": "a\nb"},
        "tags.owner: expected a text without control characters, got 'a\\nb'; write it on one",
    ),
    (
        "network",
        {"subnet_range": "10.0.0.0/24"},
        "network.subnet_range: expected subnet_id beside it, got none; add the",
    ),
    ("network", {"public_ips": "off"}, "network.public_ips: expected true or false, got 'off'; false wants subnet_id"),
    (
        "network",
        {"private_endpoints": {"batch_zone_id": f"{ZONE}privatelink.batch.azure.com"}},
        "network.private_endpoints.subnet_id: expected an id like /subscriptions/* but it is missing; copy it from `az",
    ),
    (
        "node_identity",
        {"id": IDENTITY, "client_id": SOMEBODY, "principal_id": SOMEBODY},
        "node_identity.principal_id: expected another id than client_id, got 33333333-2222-* `az identity show` prints",
    ),
    (
        "registry",
        {"id": ACCOUNT},
        "registry.id: expected an id like * Microsoft.ContainerRegistry/registries/NAME, got",
    ),
    (
        "registry",
        {"id": f"https://portal.azure.com/#@x/resource{ACCOUNT}"},
        "registry.id: expected an id like /subscriptio",
    ),
    (
        "worker",
        {"image": f"docker-worker@sha256:{'5d' * 31}"},
        "worker.image: expected an image by digest like docker-w",
    ),
    (
        "worker",
        {"image": f"docker-worker@sha512:{'5d' * 32}"},
        "worker.image: expected an image by digest like docker-w",
    ),
    (
        "monitoring",
        {"workspace_id": WORKSPACE, "emails": [f"{'x' * 300}@b.de"]},
        "monitoring.emails[0]: expected a mail",
    ),
    (
        "monitoring",
        {"workspace_id": WORKSPACE, "emails": ["a@b.de"], "budget": 500},
        "monitoring.budget: expected a section like {monthly_amount: 500, since: 2026-12-01}, got 500; left out: nob",
    ),
    (
        "monitoring",
        {"workspace_id": WORKSPACE, "emails": ["a@b.de"], "budget": {"monthly_amount": 5, "since": "2016-12-01"}},
        "monitoring.budget.since: expected 2017-06-01 or later, which Azure wants, got 2016-12-01; write the present",
    ),
    (
        "users",
        {"admin_name": "sshd"},
        "users.admin_name: expected a name that Linux does not have already, got sshd; li",
    ),
    ("users", {"user_name": "www-data"}, "users.user_name: expected a name that Linux does not have already, got www-"),
    (
        "pools.default.scale",
        {"fixed": 2},
        "pools.default.scale.fixed: expected a section like {dedicated_nodes: 2}, go",
    ),
    ("network", {"private_endpoints": True}, "network.private_endpoints: expected a section with subnet_id and zones"),
]


def with_mistake(path: str, value: Any) -> dict[str, Any]:
    config: dict[str, Any] = copy.deepcopy(stack_config("dev")) | ({"users": {}} | PASSWORDS if path == "users" else {})
    *sections, key = path.split(".")
    place: Any = config
    for section in sections:
        place = place[section]
    if value is None:
        del place[key]
    else:
        place[key] = value
    return config


@pytest.mark.parametrize(("path", "value", "words"), MISTAKES, ids=[item[2][:50] for item in MISTAKES])
def test_a_mistake_is_one_message_and_nothing_is_touched(path: str, value: Any, words: str) -> None:
    run = Run()
    with pytest.raises(SettingsError) as error:
        run_program("dev", config=with_mistake(path, value), run=run)
    (problem,) = error.value.problems
    pattern = ".*".join(re.escape(part.strip(" ")) for part in words.split("*"))
    assert re.match(pattern, str(problem)), str(problem)
    assert problem.expected
    assert problem.fix
    assert error.value.user_message.startswith("1 problem in the settings (Pulumi.dev.yaml):\n")
    assert (run.resources, run.invokes) == ([], [])


@pytest.mark.parametrize("key", sorted(PASSWORDS))
def test_passwords_and_users_belong_together(key: str) -> None:
    with pytest.raises(SettingsError, match=f"{key}: expected no password without users, got one; remove it"):
        run_program("dev", config=stack_config("dev") | {key: PASSWORD})


def test_a_subnet_has_room_for_all_nodes() -> None:
    config: dict[str, Any] = stack_config("dev") | {"network": {"subnet_id": SUBNET, "subnet_range": "10.0.0.0/29"}}
    config["pools"]["default"]["scale"] = {"fixed": {"dedicated_nodes": 4}}
    with pytest.raises(SettingsError, match="expected a subnet with room for the 4 nodes of all pools, got room for 3"):
        run_program("dev", config=config)


def test_a_protected_stack_does_not_depend_on_who_deploys_it() -> None:
    with pytest.raises(SettingsError, match=r"submitters: expected a list of .* where protect is true, got deployer; "):
        run_program("prod", config=stack_config("prod") | {"submitters": "deployer"})


def test_there_are_many_more_than_thirty() -> None:
    assert len(MISTAKES) >= 130
