"""`inputs`: files that a task finds in its working directory. The section and what can be known without a disk.

Where a path leads on this machine is looked at by `jobs/plan/input_files.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, PrivateAttr, model_validator

from ... import text
from .fields import Section, Text

CONTAINER: Final = r"^[a-z0-9](?:-?[a-z0-9])+$"
SOURCES: Final = ("file", "folder", "blobs", "url")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_ADDRESS: Final = re.compile(r"[!-~]+")  # what a URL may have: visible ASCII, the rest percent-encoded


class Input(Section):
    """One of `file`, `folder` (on this machine, relative to the job file), `blobs` (a prefix), `url` (https).

    `to` is where it lies in the working directory; a `to` that ends with `/` is a folder for it.
    """

    file: Text | None = None
    folder: Text | None = None
    blobs: Text | None = None
    url: Text | None = None
    container: Annotated[str, Field(pattern=CONTAINER, min_length=3, max_length=63)] | None = None
    to: Text | None = None
    _below: str | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(SOURCES)}; got {', '.join(given) or 'none'}")
        if self.container is not None and given != ["blobs"]:
            raise ValueError("`container` goes with `blobs` only; leave it out")
        return self

    @property
    def kind(self) -> str:
        """Which of `SOURCES` it is."""
        return next(name for name in SOURCES if getattr(self, name) is not None)

    @property
    def source(self) -> str:
        """The path, prefix or address."""
        return str(getattr(self, self.kind))

    @property
    def below(self) -> str | None:
        """The folder that values of a row cannot lead out of, as the template writes it; None without such values."""
        return self._below

    def filled(self, source: str, to: str | None) -> Input:
        """This one of a template, with the values of a row in place of placeholders."""
        copy = self.model_copy(update={self.kind: source, "to": to})
        if source != self.source and self.kind in ("file", "folder"):
            copy._below = self.source.partition("{")[0].rpartition("/")[0] or (
                "/" if self.source.startswith("/") else "."
            )
        return copy

    @property
    def destination(self) -> str:
        """Its path in the working directory: of the file, or of the folder that all of it lies in (`.`: right there).

        Raises `ValueError` for one that no task can have.
        """
        single = self.kind in ("file", "url")
        to = self.to
        if to is None:
            to = self._own_name() if self.kind == "folder" else "./"
        if single and (to.endswith("/") or to == "."):
            to = f"{to.rstrip('/') or '.'}/{self._own_name()}"
        return _checked(to, single=single)

    def _own_name(self) -> str:
        path = unquote(urlsplit(self.source).path) if self.kind == "url" else self.source
        name = PurePosixPath(path).name
        if name in ("", "..") or "/" in name:
            raise ValueError(f"{self.source!r:.80} ends with no name; say with `to` where it shall lie")
        return name


def _checked(to: str, *, single: bool) -> str:
    parts = [part for part in to.rstrip("/").split("/") if part != "."]
    if to.startswith("/") or ".." in parts or "" in parts[1:] or (parts and not parts[0] and len(to) > 1):
        raise ValueError(f"expected a path below the task's working directory, like data/in.csv, got {to!r:.80}")
    if not to or to == "/" or (single and not parts):
        raise ValueError(f"expected a path like data/in.csv, got {to!r:.80}")
    if _CONTROL.search(to) or "\\" in to:
        raise ValueError(f"expected a path without control characters and backslashes, got {to!r:.80}")
    return "/".join(parts) or "."


def problem(inputs: Sequence[Input]) -> tuple[tuple[str | int, ...], str] | None:
    """Why these of one task can never be given to it: a place among them, and what is wrong there."""
    taken: dict[str, int] = {}
    for index, one in enumerate(inputs):
        if found := next(_of_one(one), None):
            return (index, *found[0]), found[1]
        place = one.destination
        if place != "." and place in taken:
            return (index,), f"{place!r} is given to the task twice, also by inputs.{taken[place]}; write another `to`"
        taken.setdefault(place, index)
    return None


def _of_one(one: Input) -> Iterator[tuple[tuple[str | int, ...], str]]:
    source = one.source
    if not source:
        if one.kind != "blobs":
            yield (one.kind,), "expected a path, got an empty text"
    elif (wrong := text.flaw(source)) or (one.kind == "url" and (wrong := _address(source))):
        yield (one.kind,), wrong
    try:
        one.destination  # noqa: B018 - whether it has one
    except ValueError as error:
        yield ("to",) if one.to is not None else (one.kind,), str(error)


def _address(url: str) -> str:
    """What is wrong with an https address; empty for a good one."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018 - raises for one that is none
    except ValueError as error:
        return f"not an address: {error}"
    if parts.scheme != "https" or not host:
        return f"expected an https address like https://example.org/data.csv, got {url!r:.80}"
    if parts.username is not None or parts.password is not None:
        return "an address with a user or password is a secret that everybody who may read the job could see"
    if not _ADDRESS.fullmatch(url):
        return f"expected a percent-encoded address, got {url!r:.80}; write %20 for a blank"
    return "an address has no part after #; leave it out" if parts.fragment else ""


def texts(inputs: Sequence[Input]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every text that may have placeholders, with its place."""
    for index, one in enumerate(inputs):
        yield (index, one.kind), one.source
        if one.to is not None:
            yield (index, "to"), one.to
