"""Azure Container Registry: ARM's registries, ACR's OAuth2 endpoints and the distribution API.

Owns who may push and pull (role assignments decide) and one loopback port a registry. Debian's docker-registry keeps
the images, one process for all registries behind a Unix socket; a registry's repositories have its name as prefix.
"""
