"""The local Azure and the engine that deploys to it: everything that stands in for a subscription on one machine."""
