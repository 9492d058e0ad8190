"""Storage accounts: ARM's Microsoft.Storage types and the blob endpoint.

Owns who may do what with blobs. Azurite (npm, one process, loopback http) keeps them and checks nobody's role: the
proxy here authenticates and authorises, then signs the request with a key that only it and Azurite know.
"""

from local.azure.blobs.azurite import azurite_command, azurite_port
from local.azure.blobs.service import BlobService

__all__ = ["BlobService", "azurite_command", "azurite_port"]
