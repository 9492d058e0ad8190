"""Providers whose resources are checked records: Azure Monitor with budgets, and networks. Each registers its types."""
