"""The YAML of a job file as plain data that keeps its text, and the line of every key and item.

YAML 1.1 reads `02142`, `22:30`, `1.10`, `on` and `1_000` as numbers or truth values. Here nothing is read so: what has
no quotes is a `Plain` text, and the places that want a number, or true or false, read it as one (`fields.py`).
Aliases and merge keys (`<<`) are written out. Their growth, nesting and size have limits, so that no file takes more
than a second or 100 MB to be refused.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml
from yaml.reader import ReaderError

from .. import text
from ..errors import JobFileError

Place = tuple[str | int, ...]  # keys, and places in lists, from the top of the file
STDIN: Final = Path("-")
MOST_BYTES: Final = 8 << 20  # of a job file; many tasks come from rows
MOST_ALIASED: Final = 100_000  # values that aliases may add to those that are written
_MERGE: Final = "tag:yaml.org,2002:merge"
_STR: Final = "tag:yaml.org,2002:str"
_NUMBER: Final = re.compile(r"[-+]?(\d[\d_]*)?(\.\d*)?([eE][-+]?\d+)?")
# YAML 1.1 folds these like a line's end, so a text that has one would not reach the task as it stands.
# No program can be given such a word (`limits.py`), and the parser takes a second for every million characters.
_WORD: Final = re.compile(r"""[^\s,\[\]{}"']++""")
_LONGEST_WORD: Final = 200_000
_BREAKS: Final = re.compile("[\x85\u2028\u2029]")

_TOO_DEEP: Final = f"lists and mappings are nested deeper than {text.MOST_DEPTH} levels"


@dataclass(frozen=True)
class Lines:
    """The file's path, and the line of every place in it, from 1."""

    path: Path
    numbers: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of the place, or of the nearest one around it that was written."""
        while place and place not in self.numbers:
            place = place[:-1]
        return self.numbers.get(place, 1)

    def where(self, place: Place) -> str:
        return f"{self.path}:{self.line(place)}"


class Plain(str):
    """A value that stands in the file without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        """As a message shows it: a number without quotes."""
        return str(self) if self and _NUMBER.fullmatch(self) else super().__repr__()


class Problem(Exception):
    """What is wrong with a line of the file."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


class Loader(yaml.SafeLoader):
    """Composes nodes whose scalars are texts, and refuses what would grow without end."""

    yaml_implicit_resolvers: ClassVar = {"<": [(_MERGE, re.compile(r"<<"))]}

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._sizes: dict[int, int] = {}  # values below each node, aliases written out
        self._aliased = 0

    def fetch_flow_collection_start(self, TokenClass: type[yaml.Token]) -> None:  # noqa: N803 - PyYAML's name
        """The scanner reads on to find a key's end, and takes the square of the nesting for it."""
        if self.flow_level >= text.MOST_DEPTH:
            raise Problem(self.line + 1, _TOO_DEEP)
        super().fetch_flow_collection_start(TokenClass)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        event = self.peek_event()
        line = event.start_mark.line + 1
        alias = isinstance(event, yaml.AliasEvent)
        if not alias and event.tag not in (None, "!", _STR):
            raise Problem(line, f"the tag {event.tag!r} is not taken; write the value without it")
        self._depth += 1
        if self._depth > text.MOST_DEPTH:
            raise Problem(line, _TOO_DEEP)
        node = super().compose_node(parent, index)
        assert node is not None
        self._depth -= 1
        if alias:
            if id(node) not in self._sizes:
                raise Problem(line, "an alias refers to itself; write the values out")
            self._aliased += self._sizes[id(node)]
            if self._aliased > MOST_ALIASED:
                raise Problem(line, f"aliases make more than {MOST_ALIASED} values of it; write rows into a file")
        else:
            self._sizes[id(node)] = _size(node) + sum(self._sizes[id(child)] for child in _children(node))
        return node


def read(path: Path) -> tuple[Any, Lines]:
    """The file's data and lines. Raises `OSError` when it cannot be read, `JobFileError` for what is in it.

    `STDIN` is read once for the whole process; what is wrong with it is told as `stdin:LINE`.
    """
    if path == STDIN:
        data, path = _stdin(), Path("stdin")
    else:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    try:
        if len(data) > MOST_BYTES:
            raise Problem(
                1, f"the file has more than {MOST_BYTES >> 20} MiB; write the tasks as rows of a .csv or .jsonl"
            )
        return _parse(text.decode(data), path)
    except (Problem, text.TextError) as error:
        raise JobFileError([f"{path}:{error.line}: {error}"]) from error


@cache
def _stdin() -> bytes:
    return sys.stdin.buffer.read(MOST_BYTES + 1)


def _parse(written: str, path: Path) -> tuple[Any, Lines]:
    """The plain data, and the line of every key and item."""
    if match := _BREAKS.search(written):
        code = ord(match.group())
        escape = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
        raise Problem(
            text.line_of(written, match.start()),
            f'YAML takes U+{code:04X} for the end of a line; write it as {escape} inside double quotes ("")',
        )
    long = (match for match in _WORD.finditer(written) if match.end() - match.start() > _LONGEST_WORD)
    if match := next(long, None):
        raise Problem(
            text.line_of(written, match.start()),
            f"a word of more than {_LONGEST_WORD} characters, which no program can be given; put it into a blob",
        )
    try:
        loader = Loader(written)
    except ReaderError as error:
        code = error.character if isinstance(error.character, int) else ord(error.character)
        raise Problem(
            text.line_of(written, error.position),
            f'YAML takes no control character U+{code:04X}; write it as "\\x{code:02x}" inside double quotes',
        ) from error
    try:
        node = loader.get_single_node()
        if node is None:
            raise Problem(1, "the file is empty; it needs `job` and `tasks`")
        lines: dict[Place, int] = {}
        return _plain(node, (), lines), Lines(path, lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        what = f"{what}; look here and in the lines above"
        if "'\\t'" in what:
            what = "a tab cannot indent; write spaces"
        raise Problem(mark.line + 1 if mark else 1, f"not YAML: {what}") from error
    finally:
        loader.dispose()


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair


def _size(node: yaml.Node) -> int:
    """Of one value, without what is below it: a long text counts as several."""
    return 1 + (len(node.value) // 64 if isinstance(node, yaml.ScalarNode) else 0)


def _plain(node: yaml.Node, place: Place, lines: dict[Place, int]) -> Any:
    """A node's data. Writes down the lines of what is below it."""
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*place, index), lines) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    found: dict[str, Any] = {}
    for name, (line, value) in _pairs(node).items():
        lines[(*place, name)] = line
        found[name] = _plain(value, (*place, name), lines)
    return found


def _pairs(node: yaml.MappingNode) -> dict[str, tuple[int, yaml.Node]]:
    """Key -> its line and value. A key of the mapping itself wins over a merged one, of merged ones the first wins."""
    own: dict[str, tuple[int, yaml.Node]] = {}
    merged: list[yaml.MappingNode] = []
    merges_at = 0
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise Problem(line, "a key is a list or a mapping; keys are texts")
        if key.tag == _MERGE:
            if merges_at:
                raise Problem(line, f"'<<' is there twice, first in line {merges_at}; write one list: <<: [*a, *b]")
            merges_at = line
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            if not all(isinstance(one, yaml.MappingNode) for one in merged):
                raise Problem(line, "'<<' merges mappings: write <<: *name, or <<: [*one, *two]")
            continue
        name = str(_scalar(key))
        if name in own:
            raise Problem(line, f"{name!r} is there twice, first in line {own[name][0]}; remove one")
        own[name] = (line, value)
    for one in merged:
        for name, pair in _pairs(one).items():
            own.setdefault(name, pair)
    return own


def _scalar(node: yaml.ScalarNode) -> str:
    value = text.whole(node.value)
    if wrong := text.flaw(value):
        raise Problem(node.start_mark.line + 1, wrong)
    return value if node.style else Plain(value)
