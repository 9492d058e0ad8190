"""Entry point of the executable `pulumi-resource-azure-native`."""

from ..protocol.process import serve
from .provider import AzureNative

if __name__ == "__main__":
    serve(AzureNative)
