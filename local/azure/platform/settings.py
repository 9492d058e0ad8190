"""Who the local cloud is: its tenant, subscription, location and deployer, made once and kept in the store.

Owns these facts and the deployer's secret; nobody else reads or writes them.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import asdict, dataclass, field

from local.azure.platform.store import Store
from local.paths import Paths

DEFAULT_LOCATION = "westeurope"


@dataclass(frozen=True)
class CloudSettings:
    """The deployer is an application (service principal) with a client secret."""

    tenant_id: str
    subscription_id: str
    location: str
    client_id: str
    client_secret: str = field(repr=False)
    deployer_object_id: str


def load_or_create(paths: Paths, store: Store) -> CloudSettings:
    """Read the facts, or make them at the first start (`paths` is made ready too)."""
    paths.ensure()
    with store.transaction():
        found = store.get("settings", "cloud")
        if found is None:
            made = CloudSettings(
                tenant_id=str(uuid.uuid4()),
                subscription_id=str(uuid.uuid4()),
                location=DEFAULT_LOCATION,
                client_id=str(uuid.uuid4()),
                client_secret=secrets.token_urlsafe(30),
                deployer_object_id=str(uuid.uuid4()),
            )
            store.put("settings", "cloud", asdict(made))
            return made
    return CloudSettings(**found)
