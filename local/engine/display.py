"""What a person sees of a run, in Pulumi's words and symbols: progress, diagnostics, outputs, counts, duration."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TextIO

from local.engine.codec import UNKNOWN, Secret, has_unknown, parse_path, plain, scrub
from local.engine.goal import Diagnostic, Op, Step
from local.engine.urn import is_provider, name_of, type_of

STILL_SECONDS: Final = 10.0  # a step that takes longer says so again
# operation -> symbol, while it is done, when it is done, what a preview says
WORDS: Final[Mapping[Op, tuple[str, str, str, str]]] = {
    Op.CREATE: ("+", "creating", "created", "create"),
    Op.UPDATE: ("~", "updating", "updated", "update"),
    Op.DELETE: ("-", "deleting", "deleted", "delete"),
    Op.REPLACE: ("+-", "replacing", "replaced", "replace"),
    Op.CREATE_REPLACEMENT: ("++", "creating replacement", "created replacement", "create replacement"),
    Op.DELETE_REPLACED: ("--", "deleting original", "deleted original", "delete original"),
    Op.READ: (">", "reading", "read", "read"),
    Op.IMPORT: ("=", "importing", "imported", "import"),
    Op.REFRESH: ("~", "refreshing", "refreshed", "refresh"),
    Op.RETAIN: ("", "retaining", "retained", "retain"),
    Op.SAME: ("", "", "unchanged", "unchanged"),
}
NEW_FIRST: Final = "the new one is created first, then the old one is deleted"
OLD_FIRST: Final = "the old one is deleted first, then the new one is created"
KINDS: Final = {"add": "+", "delete": "-", "update": "~"}


class Display:
    """Writes lines as things happen; used from many threads. A context manager: it ticks while it is open."""

    def __init__(self, out: TextIO, *, preview: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._preview, self._clock = out, preview, clock
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Step, float, float]] = {}  # URN -> step, started, last said
        self._status: dict[str, str] = {}
        self._closed = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Display:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._ticker.join()

    # -- the session's observer

    def begin(self, step: Step) -> None:
        """A provider is being asked."""
        now = self._clock()
        with self._lock:
            self._running[step.urn] = (step, now, now)
            self._line(step, WORDS[step.op][1])

    def done(self, step: Step) -> None:
        """The step is done."""
        with self._lock:
            started = self._running.pop(step.urn, None)
            self._status.pop(step.urn, None)
            if step.op is Op.SAME or is_provider(type_of(step.urn)):
                return
            took = f" ({self._clock() - started[1]:.1f}s)" if started else ""
            if step.op is Op.REPLACE:
                self._line(step, f"{WORDS[step.op][3]}{_diff(step)}; {_replacement(step)}")
            elif self._preview:
                self._line(step, WORDS[step.op][3] + _diff(step))
            else:
                self._line(step, WORDS[step.op][2] + took + _diff(step))

    def failed(self, step: Step) -> None:
        """The step did not succeed; the reason comes as a diagnostic."""
        with self._lock:
            started = self._running.pop(step.urn, None)
            self._status.pop(step.urn, None)
            if started:
                self._line(step, f"**{WORDS[step.op][1]} failed** ({self._clock() - started[1]:.1f}s)")

    def note(self, diagnostic: Diagnostic) -> None:
        """Something was said. An error is only counted here: its text comes once, at the end, as Pulumi does it."""
        if diagnostic.severity == "error":
            with self._lock:
                self._print(f"    {_place(diagnostic)}1 error")
            return
        label = "" if diagnostic.severity == "info" else f"{diagnostic.severity}: "
        with self._lock:
            for line in f"{label}{diagnostic.message}".splitlines() or [""]:
                self._print(f"    {_place(diagnostic)}{line}".rstrip())

    def status(self, urn: str, text: str) -> None:
        """How far a plugin is; shown with the next tick."""
        with self._lock:
            self._status[urn] = text.strip().splitlines()[-1] if text.strip() else ""

    # -- the frame

    def title(self, text: str) -> None:
        """The first line: what is done to which stack."""
        with self._lock:
            self._print(text)

    def finish(
        self,
        summary: Mapping[str, int],
        outputs: tuple[Mapping[str, Any], Mapping[str, Any]] | None,
        errors: Sequence[Diagnostic],
        seconds: float,
        show_secrets: bool,
    ) -> None:
        """The last lines: the errors, outputs (old, new), counts, time."""
        self.diagnostics(errors)
        with self._lock:
            if outputs is not None and (lines := output_lines(*outputs, show_secrets=show_secrets)):
                self._print("Outputs:")
                for line in lines:
                    self._print(line)
                self._print("")
            self._print("Resources:")
            for line in summary_lines(summary, self._preview):
                self._print(line)
            self._print("")
            self._print(f"Duration: {duration(seconds)}")

    def diagnostics(self, errors: Sequence[Diagnostic]) -> None:
        """The errors, each with its whole text."""
        if not errors:
            return
        with self._lock:
            self._print("Diagnostics:")
            for error in errors:
                self._print(f"  {type_of(error.urn)} ({name_of(error.urn)}):" if error.urn else "  engine:")
                for line in f"error: {error.message}".splitlines():
                    self._print(f"    {line}")
            self._print("")

    def _tick(self) -> None:
        while not self._closed.wait(1):
            now = self._clock()
            with self._lock:
                for urn, (step, started, said) in list(self._running.items()):
                    if now - said >= STILL_SECONDS:
                        self._running[urn] = (step, started, now)
                        status = self._status.get(urn, "")
                        self._line(
                            step, f"{WORDS[step.op][1]} ({now - started:.0f}s)" + (f"  {status}" if status else "")
                        )

    def _line(self, step: Step, words: str) -> None:
        self._print(f"{WORDS[step.op][0]:>2}  {type_of(step.urn)}  {name_of(step.urn)}  {words}")

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def _place(diagnostic: Diagnostic) -> str:
    return f"{type_of(diagnostic.urn)}  {name_of(diagnostic.urn)}  " if diagnostic.urn else ""


def _diff(step: Step) -> str:
    if not step.diff or step.op not in (Op.UPDATE, Op.REPLACE):
        return ""
    tops: dict[str, set[str]] = {}
    for path, kind in step.diff.items():
        steps = parse_path(path)
        tops.setdefault(str(steps[0]), set()).add(kind.removesuffix("-replace") if len(steps) == 1 else "update")
    marks = [f"{KINDS[kinds.pop()] if len(kinds) == 1 else '~'}{name}" for name, kinds in sorted(tops.items())]
    return f"  [diff: {','.join(marks)}]"


def _replacement(step: Step) -> str:
    return f"will be replaced: {OLD_FIRST if step.delete_first else NEW_FIRST}"


def summary_lines(summary: Mapping[str, int], preview: bool) -> list[str]:
    """The counts: `+ 12 created`, `5 unchanged`."""
    lines, kinds, total = [], 0, 0
    for op in (Op.CREATE, Op.UPDATE, Op.REPLACE, Op.DELETE, Op.DELETE_REPLACED, Op.IMPORT, Op.READ, Op.RETAIN):
        if count := summary.get(op.value, 0):
            symbol, _, past, future = WORDS[op]
            words = f"to {future}" if preview else past
            lines.append(f"    {symbol + str(count) if len(symbol) == 2 else f'{symbol:1} {count}'} {words}")
            kinds, total = kinds + 1, total + count
    same = f"{summary['same']} unchanged" if summary.get("same") else ""
    if kinds > 1:
        lines.append(f"    {total} changes." + (f" {same}" if same else ""))
    elif same:
        lines.append(f"    {same}")
    return lines or ["    0 unchanged"]


def output_lines(old: Mapping[str, Any], new: Mapping[str, Any], *, show_secrets: bool = False) -> list[str]:
    """The outputs; + new, - gone, ~ changed."""

    def shown(value: Any) -> str:
        if value is UNKNOWN or (isinstance(value, Secret) and value.value is UNKNOWN):
            return "[unknown]"
        return json.dumps(scrub(value, show_secrets)) if not has_unknown(value) else "[unknown]"

    lines = []
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            lines.append(f"  - {key}: {shown(old[key])}")
        elif key not in old:
            lines.append(f"  + {key}: {shown(new[key])}")
        elif plain(old[key]) != plain(new[key]):
            lines.append(f"  ~ {key}: {shown(old[key])} => {shown(new[key])}")
        else:
            lines.append(f"    {key}: {shown(new[key])}")
    return lines


def duration(seconds: float) -> str:
    """3.4s, or 1m12s."""
    return f"{seconds:.1f}s" if seconds < 60 else f"{int(seconds) // 60}m{int(seconds) % 60}s"
