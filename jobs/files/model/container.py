"""`container`: what a program may need of its container beyond what every task gets. The defaults are the safe side.

`jobs/plan/definitions.py` makes `docker create` options of it. Each key and its reason is in docs/jobfile.md,
"Containers".
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from ..document import Plain
from .fields import Flag, Section, Text, Whole

PIDS_LIMIT: Final = 256
MOST_PIDS: Final = 4_194_304  # Linux: PID_MAX_LIMIT of a 64-bit kernel
ROOT: Final = "/"  # in `writable`: the image's whole file system
_SIZE: Final = re.compile(r"[1-9][0-9]{0,11}[kmgKMG]")
_PLACE: Final = re.compile(r"(/[A-Za-z0-9._-]+)+")
_LIMIT: Final = re.compile(r"(-1|0|[1-9][0-9]{0,18})(:(-1|0|[1-9][0-9]{0,18}))?")
_TAKEN: Final = {"/tmp": "tmp_size and tmp_exec", "/dev/shm": "shm_size"}  # noqa: S108 - in the container


def _size(value: str) -> str:
    if not _SIZE.fullmatch(value):
        raise ValueError(f"expected a size like 64m or 2g, got {Plain(value)!r}")
    return value.lower()


def _place(value: str) -> str:
    if value == ROOT:
        return value
    if value in _TAKEN:
        raise ValueError(f"{value} is writable already; {_TAKEN[value]} change it")
    if not _PLACE.fullmatch(value) or any(part in (".", "..") for part in value.split("/")):
        raise ValueError(
            f"expected an absolute path like /var/tmp, of letters, digits, '.', '_' and '-', got {value!r}"
        )
    if value.split("/")[1] in ("proc", "sys", "dev"):
        raise ValueError(f"{value} is the kernel's; name a folder of the image, like /var/tmp")
    return value


def _limit(value: Any) -> Any:
    """`65536`, or `soft:hard`; -1 is without a limit."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _LIMIT.fullmatch(text):
        raise ValueError(f"expected a whole number, or two like 1024:65536 (soft:hard); -1 is no limit; got {value!r}")
    soft, _, hard = text.partition(":")
    if hard not in ("", "-1") and (soft == "-1" or int(soft) > int(hard)):
        raise ValueError(f"expected the soft limit not above the hard one, got {value!r}")
    return text


Size = Annotated[Text, AfterValidator(_size), WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]*[kmgKMG]$"})]
Folder = Annotated[Text, AfterValidator(_place)]
Ulimit = Annotated[
    str, BeforeValidator(_limit), WithJsonSchema({"anyOf": [{"type": "integer", "minimum": -1}, {"type": "string"}]})
]
UlimitName = Literal[  # docker's names for the resources of setrlimit(2)
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
]


class Container(Section):
    """Shared memory, process limit, /tmp, working directory, writable places and ulimits of one container."""

    shm_size: Size | None = None
    pids_limit: Annotated[Whole, Field(ge=1, le=MOST_PIDS)] = PIDS_LIMIT
    tmp_exec: Flag = False
    tmp_size: Size | None = None
    working_dir: Literal["task", "image"] = "task"
    writable: list[Folder] = Field(default_factory=list)
    ulimits: dict[UlimitName, Ulimit] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_place_once(self) -> Self:
        doubled = [place for place in self.writable if self.writable.count(place) > 1]
        if doubled:
            raise ValueError(f"writable names {doubled[0]} twice; remove one")
        return self
