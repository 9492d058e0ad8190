"""Registers the rules with Pulumi: `pulumi preview --policy-pack policy`. All decisions are in `rules.py`.

Which values the program marked as secret is told to remediations only, and the engine runs those right before it
validates. So the rule that needs it has a remediation, which notes the marks of each resource and changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Any, Final

sys.path.insert(0, str(File(__file__).resolve().parent.parent))  # Pulumi runs this file by its path

from pulumi.runtime.rpc import is_rpc_secret
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)
from pulumi_policy.deserialize import serialize_properties
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from policy.resource_view import UNKNOWN, Path, Resource, is_list, spelled
from policy.rule import Rule, Unjudged
from policy.rules import RULES

NAME: Final = "azure-batch-platform"
RULE_WITH_MARKS: Final = "no-plain-secrets"


class Marks:
    """Where each resource has secrets, by URN, from its remediation to its validation."""

    def __init__(self) -> None:
        self._paths: dict[str, frozenset[Path]] = {}

    def note(self, args: ResourceValidationArgs) -> None:
        """Called as a remediation. Reading its proxies unwraps secrets; serialising them keeps the marks."""
        self._paths[args.urn] = frozenset(secret_paths((), serialize_properties(args.props)))

    def of(self, urn: str) -> frozenset[Path]:
        """The marked paths. None noted: nothing counts as secret, so the rule refuses rather than lets pass."""
        return self._paths.get(urn, frozenset())


def secret_paths(path: Path, value: Any) -> Iterator[Path]:
    """Every path at which a wire value is a secret."""
    if is_rpc_secret(value):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_paths((*path, str(key)), item)
    elif is_list(value):
        for index, item in enumerate(value):
            yield from secret_paths((*path, index), item)


def plain(value: Any) -> Any:
    """The SDK's proxies as plain lists and maps, with `UNKNOWN` where reading one raises."""
    if isinstance(value, Mapping):
        return {key: _read(value, key) for key in value}
    if is_list(value):
        return [_read(value, index) for index in range(len(value))]
    return value


def _read(holder: Any, key: Any) -> Any:
    try:
        return plain(holder[key])
    except UnknownValueError:
        return UNKNOWN


def registered(rule: Rule, marks: Marks) -> ResourceValidationPolicy:
    """A rule as the SDK wants it."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Resource(
            type=args.resource_type,
            name=args.name,
            stack=args.urn.split("::")[0].removeprefix("urn:pulumi:"),
            properties=plain(args.props),
            protect=args.opts.protect,
            secret_paths=marks.of(args.urn),
        )
        unjudged: list[Path] = []
        for finding in rule.findings(resource, datetime.now(UTC).date()):
            if isinstance(finding, Unjudged):
                unjudged.append(finding.path)
            else:
                report(rule.message(resource, finding), None)
        if unjudged:
            # The SDK words it as an advisory: "can't run policy ... during preview: ... can't be known".
            raise UnknownValueError(UNKNOWN_STRING_VALUE, [", ".join(map(spelled, unjudged))])

    needs_marks = rule.name == RULE_WITH_MARKS
    level = EnforcementLevel.MANDATORY if rule.mandatory else EnforcementLevel.ADVISORY
    return ResourceValidationPolicy(
        name=rule.name,
        description=rule.demand,
        validate=validate,
        # REMEDIATE makes the engine run the remediation; a violation is refused as with MANDATORY.
        enforcement_level=EnforcementLevel.REMEDIATE if needs_marks else level,
        remediate=marks.note if needs_marks else None,
    )


if __name__ == "__main__":
    noted = Marks()
    PolicyPack(NAME, [registered(rule, noted) for rule in RULES])
