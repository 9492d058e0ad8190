"""The local Azure and the deployment to it: everything that stands in for a subscription on one machine."""
