"""Verbs for what jobs run on: pools, their nodes, a login to a node, and the images of the registry."""
