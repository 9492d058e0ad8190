"""The node agent: what runs inside a node and does the work of Azure Batch's own node agent.

It imports nothing of the repository but `local.node.contract`, because both are copied into the node image; it needs
Python 3.11 and aiohttp 3.8 (Debian 12's `python3-aiohttp`). Its neighbours on the host are the executors.
"""
