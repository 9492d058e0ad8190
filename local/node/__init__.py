"""Nodes: their image, their life, and running start tasks and tasks on them.

Owns what happens on a node (`agent/` runs inside it; the executors beside this file make nodes and speak with their
agents). Scheduling decisions are `local/azure/batch`'s; `contract.py` is all that the two share.
"""
