"""What ARM asks of Batch: the hooks of accounts and pools, and the translation of ARM's pool to the data plane's."""
