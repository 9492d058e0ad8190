"""docs/settings.md: every setting of a stack file, made from the settings' own classes.

    python -m infra.settings_reference > docs/settings.md

What a setting is comes from its class's docstring and the text below it, what it may be from its `Expect`. A test
compares the file with this, and loads the example of every section.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from infra.settings.cloud import (
    Budget,
    MonitoringSettings,
    NodeIdentitySettings,
    RegistrySettings,
    SqlSettings,
    StorageSettings,
    WorkerSettings,
)
from infra.settings.network import NetworkSettings, PrivateEndpoints
from infra.settings.people import Principal, Submitter
from infra.settings.pools import (
    FixedScale,
    NodeImage,
    PendingTasksScale,
    PoolSettings,
    Scale,
    SpotWithDedicatedFloorScale,
    Users,
    WorkingHoursScale,
    ZeroAtNightScale,
)
from infra.settings.problems import Expect, alternatives, inner
from infra.settings.stack import Settings

_SUBSCRIPTION: Final = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups"

EXAMPLES: Final[Mapping[type[BaseModel], str]] = {
    Settings: "location: westeurope\nfamilies: [hello, nightly-load]\nsubmitters: deployer",
    PoolSettings: """\
pools:
  default:
    vm_size: Standard_D4ads_v5
    task_slots_per_node: 4
    scale:
      pending_tasks: {max_nodes: 10}
    ssh_from: [203.0.113.0/24]
    start_steps:
      jq: command -v jq >/dev/null || apt-get install -y jq""",
    Scale: "scale:\n  fixed: {dedicated_nodes: 2}",
    FixedScale: "scale:\n  fixed: {dedicated_nodes: 2, spot_nodes: 1}",
    PendingTasksScale: "scale:\n  pending_tasks: {min_nodes: 0, max_nodes: 10}",
    WorkingHoursScale: "scale:\n  working_hours: {nodes: 4, from_hour: 6, to_hour: 17}",
    ZeroAtNightScale: "scale:\n  zero_at_night: {max_nodes: 8, night_from_hour: 19, night_to_hour: 6}",
    SpotWithDedicatedFloorScale: "scale:\n  spot_with_dedicated_floor: {dedicated_nodes: 2, max_spot_nodes: 20}",
    NodeImage: "node_image: {sku: 2404, version: 24.04.2026092501}",
    Users: "users: {admin_name: batchadmin, user_name: batchuser}",
    WorkerSettings: f"worker:\n  image: docker-worker@sha256:{'5d' * 32}",
    SqlSettings: "sql: {server: my-server.database.windows.net, database: worklist}",
    Submitter: """\
submitters:
  - {object_id: 22222222-2222-3333-4444-555555555555, type: Group, role: operate}
  - {object_id: 33333333-2222-3333-4444-555555555555, type: ServicePrincipal, role: submit}""",
    RegistrySettings: f"registry:\n  id: {_SUBSCRIPTION}/rg/providers/Microsoft.ContainerRegistry/registries/shared",
    Principal: """\
registry:
  pushers:
    - {object_id: 33333333-2222-3333-4444-555555555555, type: ServicePrincipal}""",
    StorageSettings: "storage: {soft_delete_days: 14}",
    NodeIdentitySettings: f"""\
node_identity:
  id: {_SUBSCRIPTION}/shared/providers/Microsoft.ManagedIdentity/userAssignedIdentities/batch-nodes
  client_id: 22222222-2222-3333-4444-555555555555
  principal_id: 33333333-2222-3333-4444-555555555555""",
    NetworkSettings: f"""\
network:
  subnet_id: {_SUBSCRIPTION}/hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/batch
  subnet_range: 10.20.0.0/24
  public_ips: false
  allowed_ips: [203.0.113.0/24]""",
    PrivateEndpoints: f"""\
network:
  private_endpoints:
    subnet_id: {_SUBSCRIPTION}/hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/endpoints
    batch_zone_id: {_SUBSCRIPTION}/dns/providers/Microsoft.Network/privateDnsZones/privatelink.batch.azure.com""",
    MonitoringSettings: f"""\
monitoring:
  workspace_id: {_SUBSCRIPTION}/logs/providers/Microsoft.OperationalInsights/workspaces/logs
  emails: [batch-team@example.com]""",
    Budget: """\
monitoring:
  budget: {monthly_amount: 500, since: 2026-12-01}""",
}
"""An example of each section, as it stands in a stack file (the prefix `azure-batch-platform:` left out)."""

_HEAD: Final = """\
# Settings of a stack

Every key of `Pulumi.<stack>.yaml`. Made from the classes by `python -m infra.settings_reference`; do not edit.
In the file each key of the first level has the project's name before it: `azure-batch-platform:location`. A wrong
value is refused before anything is made, with all other mistakes of the file at once. `up` also refuses the examples
`11111111-...` and `sha256:000...`, with which a preview is content.

A section with an `id` names something that exists: the program assigns roles on it, and neither makes, changes nor
deletes it.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(model, place) for model, place in sections(Settings, ""))])


def sections(model: type[BaseModel], place: str) -> Iterator[tuple[type[BaseModel], str]]:
    """A section and those below it, each with its place in the file."""
    yield model, place
    for name, field in model.model_fields.items():
        key = f"{place}.{field.alias or name}".lstrip(".")
        yield from _below(field.annotation, key)


def _below(annotation: Any, key: str) -> Iterator[tuple[type[BaseModel], str]]:
    for candidate in alternatives(annotation):
        origin = get_origin(candidate)
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            yield from sections(candidate, key)
        elif origin is tuple:
            yield from _below(get_args(candidate)[0], f"{key}[]")
        elif origin in (dict, Mapping):
            yield from _below(get_args(candidate)[1], f"{key}.NAME")


def _section(model: type[BaseModel], place: str) -> str:
    title = f"`{place}`" if place else "The first level"
    lines = [f"## {title}", "", inspect.cleandoc(model.__doc__ or ""), ""]
    lines += ["| key | may be | to know | left out |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        key = field.alias or name
        expected = expectation(model, key)
        known = " ".join(f"{text.rstrip('.')}." for text in (_notes(model).get(name), expected.fix) if text)
        default = "**must be given**" if field.default is PydanticUndefined else _default(field.default)
        lines.append(f"| `{key}` | {expected.form} | {known.replace('{key}', key)} | {default} |")
    if model in EXAMPLES:
        lines += ["", "```yaml", EXAMPLES[model], "```"]
    return "\n".join(lines) + "\n"


def expectation(model: type[BaseModel], key: str) -> Expect:
    """What a setting must be, as its own annotation says. Raises LookupError if it says nothing: a mistake in it would
    be reported in the words of the section around it."""
    found = inner(model, key)
    for item in reversed(found.metadata if found else ()):
        if isinstance(item, Expect):
            return item
    raise LookupError(f"{model.__name__}.{key} has no Expect")


def _default(value: Any) -> str:
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, BaseModel):
        return "its own defaults"
    return f"`{yaml.safe_dump(getattr(value, 'value', value)).splitlines()[0]}`"


@cache
def _notes(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below a class's fields. Python forgets them, so they are read from the source."""
    module = ast.parse(Path(inspect.getfile(model)).read_text())
    body = next(
        node.body for node in ast.walk(module) if isinstance(node, ast.ClassDef) and node.name == model.__name__
    )
    notes: dict[str, str] = {}
    for field, below in pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                notes[name] = " ".join(text.split())
    return notes


if __name__ == "__main__":
    sys.stdout.write(page())
