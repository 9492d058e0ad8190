"""The fixture that other programs use."""

from local.testing.plugin import local_azure as local_azure
from local.testing.plugin import local_azure_cloud as local_azure_cloud
