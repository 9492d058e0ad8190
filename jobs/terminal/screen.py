"""A picture that is drawn again in place on stderr's terminal: what `watch`, `top` and `--watch` show.

Only the escape codes that every terminal has. What does not fit the height is left out, which the last line says. When
the terminal was resized, what is on it has moved nobody knows where: then the screen is cleared once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .render import Render

_UP, _CLEAR, _HIDE, _SHOW, _ALL = "\x1b[{}F", "\x1b[J", "\x1b[?25l", "\x1b[?25h", "\x1b[2J\x1b[H"
Draw = Callable[[int, int], Sequence[str]]  # (columns, lines) -> the picture's lines, none wider


class Screen:
    """Draws each picture over the one before; at the end the last one stays."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._drawn = 0
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> Screen:
        self._render.escape(_HIDE)
        return self

    def __exit__(self, *_: object) -> None:
        self._render.escape(_SHOW)

    def draw(self, picture: Draw) -> None:
        """Draw it for the terminal's size of this moment."""
        size = self._render.live_size
        wide, high = size
        lines = list(picture(max(1, wide - 1), max(1, high - 1)))
        if len(lines) > high - 1:
            left_out = len(lines) - (high - 2)
            lines = [*lines[: max(0, high - 2)], f"... {left_out} more lines: the terminal is too low"[: wide - 1]]
        start = _UP.format(self._drawn) if self._drawn else ""
        if self._size not in (None, size):
            start = _ALL
        self._render.escape(start + _CLEAR + "".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)
        self._size = size
