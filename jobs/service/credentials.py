"""Tokens: the only importer of azure.identity."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import UsageError
from .connection import ClientSecret, Connection, SharedKey


def token_credential(connection: Connection) -> Any:
    """The credential for a connection: the local Azure's application, or whatever azure-identity finds here."""
    if isinstance(connection.credential, SharedKey):
        raise UsageError(
            "with AZURE_BATCH_ACCESS_KEY there is no token for the storage account",
            next_step="unset it and use --stack",
        )
    logging.getLogger("azure").addHandler(logging.NullHandler())  # it logs what it raises, too: said twice
    if isinstance(connection.credential, ClientSecret):
        from azure.identity import ClientSecretCredential

        verify: dict[str, Any] = {} if connection.ca is None else {"connection_verify": str(connection.ca)}
        secret = connection.credential
        return ClientSecretCredential(
            secret.tenant_id,
            secret.client_id,
            secret.client_secret,
            authority=secret.authority,
            disable_instance_discovery=True,
            **verify,
        )
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(exclude_interactive_browser_credential=True)
