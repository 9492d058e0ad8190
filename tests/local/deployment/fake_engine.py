"""A Docker engine that only has images."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class FakeEngine:
    """An engine that has images, and keeps what it is told to remove."""

    def __init__(self, *tags: str) -> None:
        self.tags = list(tags)
        self.images = self
        self.api = SimpleNamespace(images=self.listed)

    def listed(self) -> list[dict[str, Any]]:
        """As the engine lists them: an image without a tag has none, or null."""
        return [{"RepoTags": [tag]} for tag in self.tags] + [{"RepoTags": []}, {"RepoTags": None}]

    def remove(self, name: str, *, noprune: bool) -> None:
        assert noprune  # layers are the build cache
        self.tags.remove(name)

    def close(self) -> None: ...
