"""What a preview says, as plain data: `pulumi preview --json` and its event log in, a `Plan` out.

The digest of `--json` has every step with both states, secrets blinded; results of policies are only in the event log
(`--event-log`). Reading is a pure function. How a plan is shown is in `comment.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from ci.program import PipelineError
from local.azure.control_plane.roles import role_of
from local.exits import Exit
from policy.secret_values import known_form, looks_random, secret_name

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""How a digest writes a value that only `up` will know (pulumi/runtime/rpc.py, UNKNOWN)."""

SECRET_KEY: Final = "4dabf18193072939515e22adb298388d"  # noqa: S105 - a mark
"""Pulumi's mark of a special value in a state (sdk/go/common/resource/sig)."""

BLINDED: Final = "[secret]"
NOT_KNOWN_YET: Final = "known only during up"
NOT_SET: Final = "not set"

_REPLACEMENT: Final = frozenset({"replace", "create-replacement", "delete-replaced"}) | {
    "read-replacement",
    "discard-replaced",
    "import-replacement",
}
_REFUSED: Final = "error: preview failed"
"""What the CLI says of a preview that a policy refuses, beside the policy's own words."""
_NOTHING: Final = frozenset({"same", "refresh", "read", "read-discard", "remove-pending-replace"})
_POOL: Final = "batch:Pool"
_ROLE: Final = "authorization:RoleAssignment"

LOST_WITH: Final[Mapping[str, str]] = {
    "resources:ResourceGroup": "everything in the group, also what other stacks or people put there",
    "storage:StorageAccount": "the output of all jobs in it",
    "storage:BlobContainer": "the job output in it",
    "containerregistry:Registry": "all images in it; pools cannot pull them any more",
    "batch:BatchAccount": "all jobs and tasks in it, and their history",
    "managedidentity:UserAssignedIdentity": "the identity that databases and role assignments know by its id",
    "keyvault:Vault": "the keys in it, and all that only they can decrypt",
    "keyvault:Key": "all that only this key can decrypt",
    "operationalinsights:Workspace": "the logs in it",
}
"""What goes with a resource when it is deleted, by kind: what no later `up` brings back."""


class Action(Enum):
    """What happens to a resource."""

    CREATE = "created"
    UPDATE = "changed"
    REPLACE = "replaced"
    DELETE = "deleted"
    MISSING = "gone from Azure, made again"
    OTHER = "other"


@dataclass(frozen=True)
class Difference:
    """A property that changes: its path, and both values as text; secrets are blinded."""

    path: str
    old: str
    new: str
    replaces: bool = False


@dataclass(frozen=True)
class Change:
    """What happens to one resource."""

    action: Action
    kind: str
    """The type without its package: `batch:Pool`."""
    name: str
    """The logical name in the program."""
    differences: tuple[Difference, ...] = ()
    deleted_first: bool = False
    """Of a replacement: the old resource goes before the new one is made."""
    protected: bool = False
    """The resource there is now is protected: Pulumi refuses to delete it."""
    kept_in_azure: bool = False
    """Of a deletion: Pulumi forgets the resource, Azure keeps it."""
    unprotected: bool = False
    """The resource loses its protection."""
    operation: str = ""
    """Pulumi's own word, for `Action.OTHER`."""
    old: Mapping[str, str] | None = None
    """Of pools and role assignments: the inputs that identify the present one."""
    new: Mapping[str, str] | None = None


@dataclass(frozen=True)
class PolicyResult:
    """A rule that a resource breaks."""

    rule: str
    resource: str
    message: str
    refused: bool


@dataclass(frozen=True)
class Plan:
    """All that a preview of one stack says."""

    stack: str
    exit_code: int
    changes: tuple[Change, ...] = ()
    unchanged: int = 0
    pools_before: tuple[str, ...] = ()
    """Names of the pools that the stack has now, as its outputs have them."""
    policies: tuple[PolicyResult, ...] = ()
    policy_packs: tuple[str, ...] = ()
    """Names of the packs that ran; a preview that fails early names none."""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    golden: tuple[str, ...] = ()
    """The difference of the golden preview, as lines of a unified diff."""

    def of(self, action: Action) -> tuple[Change, ...]:
        """The changes of one kind."""
        return tuple(change for change in self.changes if change.action is action)

    @property
    def losses(self) -> tuple[Change, ...]:
        """Changes after which data is gone."""
        return tuple(
            change
            for change in self.changes
            if change.kind in LOST_WITH
            and change.action in (Action.DELETE, Action.REPLACE)
            and not change.kept_in_azure
        )

    @property
    def pools(self) -> tuple[Change, ...]:
        """Changes that make a new pool or take one away."""
        return tuple(one for one in self.changes if one.kind == _POOL and one.action is not Action.UPDATE)

    @property
    def roles(self) -> tuple[Change, ...]:
        """Changes of who may do what."""
        return tuple(one for one in self.changes if one.kind == _ROLE)

    @property
    def failed(self) -> bool:
        """Whether the preview came to no end: what it says may be incomplete."""
        return self.exit_code not in (0, Exit.PULUMI_WOULD_CHANGE)

    @property
    def would_change(self) -> bool:
        """Whether something would change, and it was said that nothing should."""
        return self.exit_code == Exit.PULUMI_WOULD_CHANGE

    @property
    def ok(self) -> bool:
        """Whether `up` could go on: the preview succeeded and no rule refuses it."""
        return not self.failed and not any(result.refused for result in self.policies)


def read(
    stack: str,
    exit_code: int,
    digest: Mapping[str, Any],
    events: Iterable[Mapping[str, Any]] = (),
    golden: Sequence[str] = (),
) -> Plan:
    """The plan that a digest and the run's events describe. The same plan for steps in any order of resources."""
    logged = list(events)
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for step in digest.get("steps") or ():
        grouped.setdefault(str(step["urn"]), []).append(step)
    changes = [change for steps in grouped.values() if (change := _change(steps)) is not None]
    told = [one for one in digest.get("diagnostics") or () if str(one.get("message", "")).strip()]
    policies = tuple(dict.fromkeys(_policy_results(logged)))
    refused = any(result.refused for result in policies)
    return Plan(
        stack=stack,
        exit_code=exit_code,
        changes=tuple(sorted(changes, key=lambda one: (one.kind, one.name, one.action.value))),
        unchanged=int((digest.get("changeSummary") or {}).get("same", 0)),
        pools_before=_pools_before(digest),
        policies=policies,
        policy_packs=tuple(sorted({pack for event in logged for pack in _packs(event)})),
        errors=tuple(text for text in _messages(told, "error") if not (refused and text == _REFUSED)),
        warnings=_messages(told, "warning"),
        golden=tuple(golden),
    )


def read_digest(text: str) -> dict[str, Any]:
    """The first JSON document of a CLI's stdout; empty if it failed before it wrote one.

    Raises `PipelineError` for output that is something else.
    """
    text = text.strip()
    if not text:
        return {}
    try:
        document, _ = json.JSONDecoder().raw_decode(text)
    except ValueError as error:
        raise PipelineError(
            "`pulumi preview --json` did not print JSON",
            cause=f"{error}; it begins with {hidden(text[:80])!r}",
            next_step="run the same preview without --json and read what it says",
        ) from None
    if not isinstance(document, dict):
        raise PipelineError(
            f"`pulumi preview --json` printed a {type(document).__name__} instead of a plan",
            next_step="see that the CLI is the version that ci/pulumi.py names",
        )
    return document


def read_events(text: str) -> list[dict[str, Any]]:
    """The events of a log with one JSON document a line; a last line that a killed CLI did not finish is left out."""
    found: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return found


@lru_cache(maxsize=4096)  # the same values come again and again in a large plan
def hidden(text: str) -> str:
    """The text without the lines that hold something in the form of a secret; what stands there says why."""
    if known_form(text) is None:
        return text
    lines = [f"[hidden: it looks like {form}]" if (form := known_form(line)) else line for line in text.splitlines()]
    whole = "\n".join(lines)
    form = known_form(whole)  # a form of several lines
    return f"[hidden: it looks like {form}]" if form else whole


def _pools_before(digest: Mapping[str, Any]) -> tuple[str, ...]:
    for step in digest.get("steps") or ():
        if str(step["urn"]).split("::")[2] == "pulumi:pulumi:Stack":
            pools = ((step.get("oldState") or {}).get("outputs") or {}).get("pools")
            return tuple(sorted(map(str, pools))) if isinstance(pools, Mapping) else ()
    return ()


def _change(steps: Sequence[Mapping[str, Any]]) -> Change | None:
    """What the steps of one resource come to; None if they change nothing in Azure."""
    operations = [str(step.get("op")) for step in steps]
    before = next((step["oldState"] for step in steps if step.get("oldState")), None) or {}
    after = next((step["newState"] for step in reversed(steps) if step.get("newState")), None) or {}
    state = after or before
    kind = str(state.get("type") or str(steps[0]["urn"]).split("::")[2].rsplit("$", 1)[-1])
    if kind == "pulumi:pulumi:Stack" or state.get("custom") is False:
        return None
    action = _action(operations)
    unprotected = bool(before.get("protect")) and bool(after) and not after.get("protect")
    if action is None and not unprotected:
        return None
    if kind.startswith("pulumi:providers:") and action in (Action.CREATE, Action.DELETE):
        return None
    action = action or Action.UPDATE
    short = _short(kind)
    return Change(
        action=action,
        kind=short,
        name=str(steps[0]["urn"]).split("::")[-1],
        differences=tuple(_differences(steps)) if action in (Action.UPDATE, Action.REPLACE) else (),
        deleted_first=_before(operations, "delete-replaced", "create-replacement"),
        protected=bool(before.get("protect")),
        kept_in_azure=action is Action.DELETE and bool(before.get("retainOnDelete")),
        unprotected=unprotected,
        operation=", ".join(operations) if action is Action.OTHER else "",
        old=_identity(short, before),
        new=_identity(short, after) if action is not Action.DELETE else None,
    )


def _action(operations: Sequence[str]) -> Action | None:
    present = set(operations) - _NOTHING
    if present & _REPLACEMENT:
        # Alone it is what an interrupted replacement left to delete.
        return Action.DELETE if present <= {"delete-replaced"} else Action.REPLACE
    if {"delete", "create"} <= present:
        return Action.MISSING  # a refresh found nothing where the state has a resource
    for names, action in (
        ({"create", "import"}, Action.CREATE),
        ({"delete"}, Action.DELETE),
        ({"update"}, Action.UPDATE),
    ):
        if present and present <= names:
            return action
    return Action.OTHER if present else None


def _before(operations: Sequence[str], first: str, second: str) -> bool:
    return {first, second} <= set(operations) and operations.index(first) < operations.index(second)


def _short(kind: str) -> str:
    """`azure-native:batch:Pool` and `azure-native:batch/v20240701:Pool` are `batch:Pool`; others keep their package."""
    package, _, rest = kind.partition(":")
    if not package.startswith("azure-native"):
        return kind
    module, _, name = rest.partition(":")
    return f"{module.split('/', 1)[0]}:{name}"


def _differences(steps: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    """What the last step that has both states changes: after a refresh that is what `up` would do to Azure."""
    both = [step for step in steps if step.get("oldState") and step.get("newState")]
    compared = [step for step in both if step.get("detailedDiff") or step.get("diffReasons")] or both
    if not compared:
        return
    step = compared[-1]
    old, new = step["oldState"], step["newState"]
    replacing = {str(key) for one in steps for key in one.get("replaceReasons") or ()}
    detailed: Mapping[str, Any] = step.get("detailedDiff") or {}
    paths = detailed or {str(key): {"inputDiff": True} for key in step.get("diffReasons") or replacing}
    for path, how in sorted(paths.items()):
        parts = path_parts(path)
        source = (
            old.get("inputs") if how.get("inputDiff") else {**(old.get("inputs") or {}), **(old.get("outputs") or {})}
        )
        before, after = _at(source or {}, parts), _at(new.get("inputs") or {}, parts)
        secret = _secret_path(parts, old) or _secret_path(parts, new) or BLINDED in (before, after)
        yield Difference(
            path,
            BLINDED if secret and before is not None else shown(parts, before),
            BLINDED if secret and after is not None else shown(parts, after),
            str(how.get("kind", "")).endswith("-replace") or bool(parts and str(parts[0]) in replacing),
        )


def path_parts(path: str) -> tuple[str | int, ...]:
    """A property path in parts: `a.b[0]["c.d"]` (sdk/go/common/resource/property_path.go)."""
    found: list[str | int] = []
    for key, number, quoted in re.findall(r'([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]', path):
        if number:
            found.append(int(number))
        else:
            found.append(key or quoted.replace('\\"', '"'))
    return tuple(found)


def _at(value: Any, parts: Sequence[str | int]) -> Any:
    for part in parts:
        if isinstance(value, str) and value in (BLINDED, UNKNOWN):
            return value
        if isinstance(value, Mapping):
            if SECRET_KEY in value:
                return BLINDED
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _secret_path(parts: Sequence[str | int], state: Mapping[str, Any]) -> bool:
    return bool(parts) and str(parts[0]) in (state.get("additionalSecretOutputs") or ())


def shown(parts: Sequence[str | int], value: Any) -> str:
    """A value as text on one line. Whatever is marked as secret, or named or formed like one, is blinded."""
    if value is None:
        return NOT_SET
    named = any(isinstance(part, str) and secret_name(part) for part in parts)
    if isinstance(value, str) and not named:
        return _plain(value)
    plain = _without_secrets(value, named)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, separators=(", ", ": "))


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    if text == UNKNOWN:
        return NOT_KNOWN_YET
    return "[hidden: it looks generated]" if looks_random(text) else hidden(text)


def _without_secrets(value: Any, named: bool) -> Any:
    if isinstance(value, Mapping):
        if SECRET_KEY in value:
            return BLINDED
        # {name: SQL_PASSWORD, value: ...} is how Azure writes environment variables
        named = named or secret_name(str(value.get("name", "")))
        return {str(key): _without_secrets(item, named or secret_name(str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item, named) for item in value]
    if isinstance(value, str):
        return BLINDED if named else _plain(value)
    return BLINDED if named and value is not None and not isinstance(value, bool) else value


def _identity(kind: str, state: Mapping[str, Any]) -> Mapping[str, str] | None:
    """What a reviewer knows a pool or a role assignment by."""
    if not state:
        return None
    inputs: Mapping[str, Any] = state.get("inputs") or {}
    if kind == _POOL:
        return {"pool": shown((), inputs.get("poolName"))}
    if kind == _ROLE:
        role_id = str(inputs.get("roleDefinitionId") or "")
        role = role_of(role_id) if role_id and role_id != UNKNOWN else None
        return {
            "role": role.name if role else shown((), inputs.get("roleDefinitionId")),
            "scope": _scope(shown((), inputs.get("scope"))),
            "principal": shown((), inputs.get("principalId")),
            "principal_type": shown((), inputs.get("principalType")),
        }
    return None


def _scope(resource_id: str) -> str:
    """A scope without its subscription and providers: `resourceGroups/rg/batchAccounts/name`."""
    inside = re.sub(r"^/subscriptions/[^/]+/", "", resource_id)
    return re.sub(r"providers/[^/]+/", "", inside)


def _policy_results(events: Iterable[Mapping[str, Any]]) -> Iterator[PolicyResult]:
    for event in events:
        found = event.get("policyEvent")
        if not found or found.get("exceptions") or found.get("enforcementLevel") in ("none", "disabled"):
            continue
        urn = str(found.get("resourceUrn") or "")
        kind, name = urn.split("::")[2:4] if urn.count("::") >= 3 else ("", "")
        yield PolicyResult(
            rule=str(found.get("policyName")),
            resource=f"{_short(kind.rsplit('$', 1)[-1])} {name}".strip(),
            message=" ".join(hidden(_plain_text(str(found.get("message", "")))).split()),
            refused=found.get("enforcementLevel") not in ("advisory", "warning"),
        )


def _packs(event: Mapping[str, Any]) -> Iterator[str]:
    # A local pack is `name|local|folder` there.
    yield from (str(name).partition("|")[0] for name in (event.get("summaryEvent") or {}).get("PolicyPacks") or ())
    for key in ("policyEvent", "policyAnalyzeSummaryEvent"):
        if event.get(key):
            yield str(event[key].get("policyPackName")).partition("|")[0]


def _messages(diagnostics: Iterable[Mapping[str, Any]], severity: str) -> tuple[str, ...]:
    found = (one for one in diagnostics if str(one.get("severity", "")) == severity)
    return tuple(dict.fromkeys(hidden(_plain_text(str(one["message"])).strip()) for one in found))


def _plain_text(text: str) -> str:
    """Without the marks that Pulumi's display makes colours of."""
    return re.sub(r"<\{%[a-z0-9 ]+%\}>|\x1b\[[0-9;]*m", "", text)
