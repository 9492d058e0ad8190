"""Entry point of the executable `pulumi-resource-azure-native`."""

from local.plugins.azure_native.provider import AzureNative
from local.plugins.protocol.process import serve

if __name__ == "__main__":
    serve(AzureNative)
