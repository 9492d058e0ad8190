"""The local cloud as one object: what every service is built with.

Owns assembly only; each part is its own module.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from local.azure.control_plane.access import Access
from local.azure.control_plane.resource_types import Types
from local.azure.control_plane.resources import Resources
from local.azure.control_plane.tokens import ARM_AUDIENCES, Tokens
from local.azure.platform.certificates import ensure_authority
from local.azure.platform.clock import Clock, MovableClock
from local.azure.platform.faults import Faults
from local.azure.platform.ports import HOST, Ports
from local.azure.platform.settings import CloudSettings, load_or_create
from local.azure.platform.store import Store
from local.paths import Paths


@dataclass
class Cloud:
    """The shared parts. `resources` is the ARM table, `types` the place where services register their hooks."""

    paths: Paths
    settings: CloudSettings
    store: Store
    clock: Clock
    ports: Ports
    tokens: Tokens
    access: Access
    resources: Resources
    types: Types
    faults: Faults = field(default_factory=Faults)

    @classmethod
    def open(cls, paths: Paths, clock: Clock | None = None) -> Cloud:
        """Open the cloud in this home; at the first start, make it."""
        paths.ensure()
        store = Store(paths.database)
        used = clock or MovableClock(paths)
        settings = load_or_create(paths, store)
        ensure_authority(paths)
        resources = Resources(store)
        return cls(
            paths=paths,
            settings=settings,
            store=store,
            clock=used,
            ports=Ports(store),
            tokens=Tokens(paths, settings.tenant_id, used),
            access=Access(resources),
            resources=resources,
            types=Types(),
        )

    @property
    def arm_url(self) -> str:
        """Where ARM and the authority answer."""
        return f"https://{HOST}:{self.ports.reserve('arm')}"

    @property
    def arm_audiences(self) -> tuple[str, ...]:
        """What a token for ARM may be issued for."""
        return (*ARM_AUDIENCES, self.arm_url)

    @property
    def batch_audience(self) -> str:
        """What the metadata document names as the audience of tokens for Batch, beside Azure's own."""
        return f"{self.arm_url}/batch"

    @property
    def subscription_scope(self) -> str:
        """The id of the subscription."""
        return f"/subscriptions/{self.settings.subscription_id}"

    def close(self) -> None:
        """Close the store."""
        self.store.close()
