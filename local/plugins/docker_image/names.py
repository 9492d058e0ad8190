"""Image names: registry, repository, tag."""

from __future__ import annotations

from typing import NamedTuple


class ImageName(NamedTuple):
    """`repository` includes the registry; `tag` is `latest` where the name has none."""

    repository: str
    tag: str


def split(name: str) -> ImageName:
    """Take a name apart; a colon before the last slash is a port."""
    repository, colon, tag = name.rpartition(":")
    return ImageName(repository, tag) if colon and "/" not in tag else ImageName(name, "latest")


def is_fully_qualified(name: str) -> bool:
    """Whether the name says which registry: its first part has a dot or a port, or is localhost."""
    first, slash, _ = name.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")
