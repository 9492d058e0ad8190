"""ACR's own listing API (`/acr/v1/...`) and the distribution API's catalog, from what is on disk.

The API: https://learn.microsoft.com/rest/api/containerregistry (data plane 2021-07-01). Attributes that nobody can set
here (locks) are answered as ACR's defaults.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from local.azure.control_plane.resources import Resource
from local.azure.registry.errors import InvalidRequest, RepositoryUnknown, Unsupported
from local.azure.registry.upstream import Images

_ALL = {"deleteEnabled": True, "writeEnabled": True, "readEnabled": True, "listEnabled": True}


class Catalog:
    """Repositories, tags and manifests of a registry."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def repositories(self, request: web.Request, registry: Resource) -> web.Response:
        """GET `_catalog`, paged by `n` and `last`."""
        names = self._images.repositories(registry.name)
        last, count = request.query.get("last", ""), request.query.get("n", "100")
        if not count.isdigit() or int(count) < 1:
            raise InvalidRequest(f"n={count!r} is not a number of repositories; give 1 or more")
        rest = [name for name in names if name > last]
        page = rest[: int(count)]
        headers = {}
        if len(rest) > len(page):
            headers["Link"] = f'<{request.path}?last={page[-1]}&n={count}>; rel="next"'
        return web.json_response({"repositories": page}, headers=headers)

    def tags(self, request: web.Request, registry: Resource, repository: str) -> web.Response:
        """GET `<repository>/_tags`."""
        self._known(registry, repository)
        tags = [
            {
                "name": tag.name,
                "digest": tag.digest,
                "createdTime": _time(tag.changed),
                "lastUpdateTime": _time(tag.changed),
                "signed": False,
                "changeableAttributes": _ALL,
            }
            for tag in self._images.tags(registry.name, repository)
        ]
        return web.json_response({"registry": request.host, "imageName": repository, "tags": tags})

    def manifests(self, request: web.Request, registry: Resource, repository: str) -> web.Response:
        """GET `<repository>/_manifests`."""
        self._known(registry, repository)
        names: dict[str, list[str]] = {}
        for tag in self._images.tags(registry.name, repository):
            names.setdefault(tag.digest, []).append(tag.name)
        manifests: list[dict[str, Any]] = [
            {
                "digest": manifest.digest,
                "createdTime": _time(manifest.changed),
                "lastUpdateTime": _time(manifest.changed),
                "tags": names.get(manifest.digest, []),
                "changeableAttributes": _ALL,
            }
            for manifest in self._images.manifests(registry.name, repository)
        ]
        return web.json_response({"registry": request.host, "imageName": repository, "manifests": manifests})

    def delete(self, registry: Resource, path: str) -> web.Response:
        """DELETE `<repository>` or `<repository>/_tags/<tag>`."""
        repository, marker, tag = path.partition("/_tags/")
        self._known(registry, repository)
        if marker:
            if not self._images.delete_tag(registry.name, repository, tag):
                raise RepositoryUnknown(f"the tag {tag!r} of {repository!r} does not exist")
            return web.Response(status=202)
        if "/_" in path:
            raise Unsupported(f"DELETE /acr/v1/{path} is not among the local registry's operations")
        tags = [tag.name for tag in self._images.tags(registry.name, repository)]
        digests = [manifest.digest for manifest in self._images.manifests(registry.name, repository)]
        self._images.delete(registry.name, repository)
        return web.json_response({"manifestsDeleted": digests, "tagsDeleted": tags}, status=202)

    def _known(self, registry: Resource, repository: str) -> None:
        if repository not in self._images.repositories(registry.name):
            raise RepositoryUnknown(f"repository {repository!r} is not known to registry {registry.name}")


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
