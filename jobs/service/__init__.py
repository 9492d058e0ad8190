"""The services that `jobs` talks to, each behind the few calls the verbs need: Batch, blobs, the registry, ARM."""
