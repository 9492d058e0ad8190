"""Providers whose resources are checked records: Azure Monitor with budgets, networks, and tags."""
