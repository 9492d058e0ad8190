"""The rules of this project, as a table. What each judges is in the functions above it; how a rule works in `rule.py`.

A rule that needs dates or forms takes them from `lifecycles.py` and `secret_values.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final

from policy import lifecycles
from policy.resource_view import ABSENT, UNKNOWN, Path, Resource, is_list
from policy.rule import Finding, Rule, Unjudged, Violation, all_of, setting, shown
from policy.secret_values import known_form, looks_random, secret_name

REGISTRY: Final = "containerregistry:Registry"
ACCOUNT: Final = "storage:StorageAccount"
CONTAINER: Final = "storage:BlobContainer"
BATCH: Final = "batch:BatchAccount"
POOL: Final = "batch:Pool"
GROUP: Final = "resources:ResourceGroup"
IDENTITY: Final = "managedidentity:UserAssignedIdentity"

TAGGED: Final = frozenset({GROUP, IDENTITY, ACCOUNT, REGISTRY, BATCH})
"""The kinds of this program that Azure gives tags, and bills or shows by them."""
REQUIRED_TAGS: Final = ("environment", "owner")

PROTECTED: Final = frozenset({GROUP, IDENTITY, ACCOUNT, CONTAINER, REGISTRY, BATCH})
"""What cannot be made again as it was: data, images, job history, and identities that databases know by their id.

Pools are not in it: a release may replace them. Role assignments come back as they were.
"""

_DIGEST: Final = re.compile(r".+@sha256:[0-9a-f]{64}")
_PROD: Final = frozenset({"prod", "production"})
_REMOTE_LOGIN: Final = {22: "ssh", 3389: "rdp"}
_WHOLE_INTERNET: Final = frozenset({"*", "any", "internet"})
_VIRTUAL_MACHINE: Final = ("deploymentConfiguration", "virtualMachineConfiguration")
_CONTAINERS: Final = (*_VIRTUAL_MACHINE, "containerConfiguration")


def is_prod(stack: str) -> bool:
    """Whether a stack is one of production, by its name: `prod`, `prod-eu`, `production`."""
    return not _PROD.isdisjoint(re.split(r"[^a-z0-9]+", stack.lower()))


def _entra_only(resource: Resource, today: date) -> Iterator[Finding]:
    path = ("allowedAuthenticationModes",)
    fix = "set allowed_authentication_modes=[batch.AuthenticationMode.AAD]"
    modes = resource.get(*path)
    if modes is ABSENT or (is_list(modes) and not modes):
        yield Violation(path, "is not set, which allows shared keys", fix)
    for where, mode in resource.items(*path):
        if mode is UNKNOWN:
            yield Unjudged(where)
        elif mode != "AAD":
            yield Violation(where, f"is {shown(mode)}", fix)
    if resource.get("autoStorage") is not ABSENT:
        yield from setting(
            "autoStorage",
            "authenticationMode",
            allowed=("BatchAccountManagedIdentity",),
            next_step="set authentication_mode=batch.AutoStorageAuthenticationMode.BATCH_ACCOUNT_MANAGED_IDENTITY",
        )(resource, today)


def _pulls_as_identity(resource: Resource, today: date) -> Iterator[Finding]:
    fix = "give identity_reference, and the identity AcrPull on the registry, instead of a user name and password"
    for where, registry in (
        *resource.items(*_CONTAINERS, "containerRegistries"),
        (("startTask", "containerSettings", "registry"), resource.get("startTask", "containerSettings", "registry")),
    ):
        if registry is UNKNOWN:
            yield Unjudged(where)
        elif isinstance(registry, Mapping):
            for key in ("username", "userName", "password"):
                if registry.get(key) not in (None, ""):
                    yield Violation((*where, key), "is set", fix)


def _images_by_digest(resource: Resource, today: date) -> Iterator[Finding]:
    task_image = ("startTask", "containerSettings", "imageName")
    for where, image in (*resource.items(*_CONTAINERS, "containerImageNames"), (task_image, resource.get(*task_image))):
        if image is UNKNOWN:
            yield Unjudged(where)
        elif image is not ABSENT and not _DIGEST.fullmatch(str(image)):
            yield Violation(
                where, f"is {shown(image)}", "name it as repository@sha256:digest, as `repo_digest` gives it"
            )


def _node_image_ends(resource: Resource, today: date, *, soon: bool) -> Iterator[Finding]:
    fix = "take microsoft-dsvm/ubuntu-hpc/2404 with batch.node.ubuntu 24.04, or another supported image"
    agent_path, image_path = (*_VIRTUAL_MACHINE, "nodeAgentSkuId"), (*_VIRTUAL_MACHINE, "imageReference")
    sku, image = resource.get(*agent_path), resource.get(*image_path)
    judged: list[tuple[Path, str, lifecycles.NodeAgent | None]] = []
    if sku is UNKNOWN:
        yield Unjudged(agent_path)
    elif sku is not ABSENT:
        judged.append((agent_path, shown(sku), lifecycles.node_agent(str(sku))))
    names = [resource.get(*image_path, part) for part in ("publisher", "offer", "sku")]
    if UNKNOWN in names:
        yield Unjudged(image_path)
    elif image is not ABSENT and ABSENT not in names:  # by `id` it is an image of our own: its agent decides
        publisher, offer, image_sku = (str(name) for name in names)
        judged.append(
            (image_path, "/".join((publisher, offer, image_sku)), lifecycles.agent_of_image(*map(str, names)))
        )
    for where, name, agent in judged:
        if agent is None:
            if soon:
                yield Violation(where, f"is {name}, of which no end of support is known here", f"{fix}, or {_ADD_LINE}")
        elif agent.ends is not None:
            yield from _end(where, name, "Batch's support", agent.ends, agent.source, fix, today, soon)


def _vm_size_ends(resource: Resource, today: date, *, soon: bool) -> Iterator[Finding]:
    size = resource.get("vmSize")
    if size is UNKNOWN:
        yield Unjudged(("vmSize",))
    elif size is not ABSENT and (series := lifecycles.vm_series(str(size))):
        what = f"series {series.name}"
        fix = "take a present size such as Standard_D4ads_v5 (pools.NAME.vm_size in the stack's file)"
        yield from _end(("vmSize",), shown(size), what, series.ends, series.source, fix, today, soon)


_ADD_LINE: Final = "add it to policy/lifecycles.py"


def _end(
    path: Path, name: str, what: str, ends: date, source: str, fix: str, today: date, soon: bool
) -> Iterator[Finding]:
    """A violation if the end has come, or, with `soon`, if it comes within the notice."""
    if today > ends and not soon:
        yield Violation(path, f"is {name}; {what} ended on {ends} ({source})", fix)
    elif soon and ends - timedelta(days=lifecycles.NOTICE_DAYS) <= today <= ends:
        yield Violation(path, f"is {name}; {what} ends on {ends} ({source})", fix)


def _ended(resource: Resource, today: date) -> Iterator[Finding]:
    yield from _node_image_ends(resource, today, soon=False)
    yield from _vm_size_ends(resource, today, soon=False)


def _ends_soon(resource: Resource, today: date) -> Iterator[Finding]:
    # What is unknown is said once, by the rule about what has ended.
    found = (*_node_image_ends(resource, today, soon=True), *_vm_size_ends(resource, today, soon=True))
    yield from (finding for finding in found if isinstance(finding, Violation))


def _remote_login(resource: Resource, today: date) -> Iterator[Finding]:
    pools = ("networkConfiguration", "endpointConfiguration", "inboundNatPools")
    for where, pool in resource.items(*pools):
        port = resource.get(*where, "backendPort")
        if pool is UNKNOWN or port is UNKNOWN:
            yield Unjudged(where)
        elif port in _REMOTE_LOGIN:
            yield from _open_to_all(resource, where, _REMOTE_LOGIN[int(port)])


def _open_to_all(resource: Resource, pool: Path, protocol: str) -> Iterator[Finding]:
    path = (*pool, "networkSecurityGroupRules")
    fix = f"allow {protocol} from your own networks only, each as a rule, and deny the rest with '*'"
    rules = list(resource.items(*path))
    if not rules:
        yield Violation(path, "is not set, which lets the whole Internet in", fix)
        return
    denied = False
    # By priority, as Batch applies them: the first that matches decides.
    for where, rule in sorted(rules, key=lambda item: _priority(resource, item[0])):
        source, access = resource.get(*where, "sourceAddressPrefix"), resource.get(*where, "access")
        if UNKNOWN in (rule, source, access):
            yield Unjudged(where)
        elif _is_everybody(source) and access == "Deny":
            denied = True
        elif _is_everybody(source) and access == "Allow" and not denied:
            yield Violation((*where, "sourceAddressPrefix"), f"is {shown(source)}, with access Allow", fix)
            denied = True
    if not denied and not any(UNKNOWN in (rule, resource.get(*where, "access")) for where, rule in rules):
        yield Violation(path, "denies nobody, which lets the whole Internet in", fix)


def _priority(resource: Resource, rule: Path) -> float:
    value = resource.get(*rule, "priority")
    return float(value) if isinstance(value, int | float) else 0.0


def _is_everybody(prefix: Any) -> bool:
    if not isinstance(prefix, str):
        return False
    try:
        return ipaddress.ip_network(prefix, strict=False).prefixlen == 0
    except ValueError:
        return prefix.lower() in _WHOLE_INTERNET


def _plain_secrets(resource: Resource, today: date) -> Iterator[Finding]:
    fix = "mark it with pulumi.Output.secret (config: `pulumi config set --secret`), or use an identity instead"
    for path, value in resource.leaves():
        if not isinstance(value, str) or not value or resource.is_secret(path):
            continue
        if form := known_form(value):
            yield Violation(path, f"holds {form} in clear text ({len(value)} characters)", fix)
        elif secret_name(_name_of(resource, path)):
            yield Violation(path, f"is a plain value of {len(value)} characters under a secret's name", fix)
        elif looks_random(value):
            yield Violation(path, f"holds a plain value that looks generated ({len(value)} characters)", fix)


def _name_of(resource: Resource, path: Path) -> str:
    """The name under which people know a value: its key, or the `name` beside a `value` as in environment settings."""
    keys = [part for part in path if isinstance(part, str)]
    if path[-1] == "value":
        beside = resource.get(*path[:-1], "name")
        return beside if isinstance(beside, str) else keys[-1]
    return keys[-1] if keys else ""


def _tags(resource: Resource, today: date) -> Iterator[Finding]:
    for key in REQUIRED_TAGS:
        value = resource.get("tags", key)
        if value is UNKNOWN:
            yield Unjudged(("tags", key))
        elif value is ABSENT or not str(value).strip():
            fix = f"write it under `tags:` in Pulumi.{resource.stack}.yaml, and give the resource tags=settings.tags"
            yield Violation(("tags", key), "is not set", fix)


def _protected(resource: Resource, today: date) -> Iterator[Finding]:
    if not resource.protect:
        fix = f"set `protect: true` in Pulumi.{resource.stack}.yaml, and give the resource protect=settings.protect"
        yield Violation((), "the option protect is not set", fix)


RULES: Final = (
    Rule(
        "registry-without-admin-user",
        "A container registry has no admin user.",
        "Its password is one for everybody, has all rights and never ends.",
        frozenset({REGISTRY}),
        setting("adminUserEnabled", allowed=(False,), absent=True, next_step="set admin_user_enabled=False"),
    ),
    Rule(
        "registry-without-anonymous-pull",
        "A container registry lets nobody pull without signing in.",
        "Whoever knows its name could read the images and what is in them.",
        frozenset({REGISTRY}),
        setting("anonymousPullEnabled", allowed=(False,), absent=True, next_step="set anonymous_pull_enabled=False"),
    ),
    Rule(
        "storage-without-public-blobs",
        "A storage account and its containers allow no anonymous reading.",
        "Job output would be on the Internet under an address that can be guessed.",
        frozenset({ACCOUNT, CONTAINER}),
        all_of(
            (
                ACCOUNT,
                setting("allowBlobPublicAccess", allowed=(False,), next_step="set allow_blob_public_access=False"),
            ),
            (
                CONTAINER,
                setting(
                    "publicAccess",
                    allowed=("None",),
                    absent=True,
                    next_step="set public_access=storage.PublicAccess.NONE",
                ),
            ),
        ),
    ),
    Rule(
        "storage-without-shared-keys",
        "A storage account takes Entra tokens only.",
        "A key opens everything in the account for whoever holds it; not set means that keys work.",
        frozenset({ACCOUNT}),
        setting("allowSharedKeyAccess", allowed=(False,), next_step="set allow_shared_key_access=False"),
    ),
    Rule(
        "storage-with-tls-1-2",
        "A storage account is reached by https with TLS 1.2 or later only.",
        "Older versions and plain http can be read or changed on the way.",
        frozenset({ACCOUNT}),
        lambda resource, today: (
            *setting(
                "minimumTlsVersion",
                allowed=("TLS1_2", "TLS1_3"),
                next_step="set minimum_tls_version=storage.MinimumTlsVersion.TLS1_2",
            )(resource, today),
            *setting(
                "enableHttpsTrafficOnly",
                allowed=(True,),
                absent=True,
                next_step="set enable_https_traffic_only=True",
            )(resource, today),
        ),
    ),
    Rule(
        "batch-with-entra-only",
        "A Batch account takes Entra tokens only, and reaches its storage as a managed identity.",
        "An account key gives every right on jobs, pools and nodes to whoever holds it.",
        frozenset({BATCH}),
        _entra_only,
    ),
    Rule(
        "pool-pulls-as-identity",
        "A pool signs in at registries as a managed identity.",
        "A password in a pool is readable for whoever may read the pool, and ends when nobody expects it.",
        frozenset({POOL}),
        _pulls_as_identity,
    ),
    Rule(
        "pool-images-by-digest",
        "A pool names container images by digest.",
        "A tag can move: nodes that boot later would run something else than those that run already.",
        frozenset({POOL}),
        _images_by_digest,
    ),
    Rule(
        "pool-on-supported-nodes",
        "A pool's node image and VM size are not past their end.",
        "Batch refuses to create or grow such a pool, and may take its nodes away at any moment.",
        frozenset({POOL}),
        _ended,
    ),
    Rule(
        "pool-on-nodes-that-last",
        "A pool's node image is known, and it and the VM size have more than half a year left.",
        "Replacing image or size makes a new pool: it wants time.",
        frozenset({POOL}),
        _ends_soon,
        mandatory=False,
    ),
    Rule(
        "pool-without-open-login",
        "A pool opens ssh and rdp to named networks only.",
        "Passwords of a node's users are tried from everywhere within minutes.",
        frozenset({POOL}),
        _remote_login,
    ),
    Rule(
        "no-plain-secrets",
        "A value that looks like a secret is marked as secret.",
        "A plain value is stored and shown in clear text: in state, previews, comments of pull requests and logs.",
        None,
        _plain_secrets,
    ),
    Rule(
        "prod-is-tagged",
        f"In production, resources that Azure gives tags have {' and '.join(REQUIRED_TAGS)}.",
        "Who pays for it and whom to ask must be seen where it is found.",
        TAGGED,
        _tags,
        stacks=is_prod,
    ),
    Rule(
        "prod-is-protected",
        "In production, what cannot be made again as it was is protected.",
        "A mistyped `pulumi destroy`, or a renamed resource, would delete it.",
        PROTECTED,
        _protected,
        stacks=is_prod,
    ),
)
