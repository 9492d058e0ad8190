"""A local Azure for the tests of other programs: `plugin.py` has the pytest fixture, `azure.py` what it stands on.

docs/clients.md shows how azure-cli, azure-batch, the azure-mgmt clients and Airflow are pointed at it.
"""
