"""Named timers on the cloud's clock: arming a name again replaces it. What one does is a turn of the loop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from local.azure.batch.scheduling.loop import Loop
from local.azure.platform.clock import Clock, Timer


class Timers:
    """One account's timers; none outlives `close`."""

    def __init__(self, clock: Clock, loop: Loop) -> None:
        self._clock, self._loop = clock, loop
        self._armed: dict[tuple[str, str], Timer] = {}

    def arm(self, kind: str, name: str, when: datetime, callback: Callable[[], None]) -> None:
        """Call back at `when` unless cancelled or armed again."""
        self.cancel(kind, name)
        self._armed[kind, name] = self._clock.call_at(when, lambda: self._fire(callback))

    def _fire(self, callback: Callable[[], None]) -> None:
        with self._loop.turn():
            callback()

    def cancel(self, kind: str, name: str) -> None:
        """Forget a timer; harmless when there is none."""
        timer = self._armed.pop((kind, name), None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Forget all."""
        for timer in self._armed.values():
            timer.cancel()
        self._armed.clear()
