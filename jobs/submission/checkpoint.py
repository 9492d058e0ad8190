"""What survives the submitter: an append-only file that tells which chunks were sent, and which are settled.

One line each, written before the thing it announces: `s SEQ COUNT DIGEST` before a chunk is sent the first time,
`f SEQ JSON` for a task the service refused, `d SEQ` once every task of the chunk has its verdict, `u SEQ` to take that
back. A line cut by a kill is dropped. Synced to disk every second, so a power failure costs a second of lines; what
they said is found out again from the service.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ..errors import UsageError
from .chunks import Chunk
from .verdicts import Verdict

VERSION: Final = 1


class Checkpoint:
    """The file of one submission. With path None nothing is written, and nothing can be resumed."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.sent: dict[int, tuple[int, str]] = {}  # seq: count, digest
        self.done: set[int] = set()
        self.failures: list[tuple[int, Verdict]] = []
        self._file = -1
        self._dirty = False
        self._settled: list[str] = []

    @classmethod
    def start(cls, path: Path | None, *, job_id: str, fingerprint: str) -> Checkpoint:
        """A new one. One that is there already is not overwritten."""
        found = cls(path)
        if path is None:
            return found
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            found._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError:
            raise _is_there(path, job_id) from None
        except OSError as error:
            raise UsageError(f"{path}: the checkpoint cannot be written: {error}. Name another --checkpoint") from error
        found._lock()
        found._write(json.dumps({"checkpoint": VERSION, "job": job_id, "fingerprint": fingerprint}))
        found.sync()
        return found

    @classmethod
    def resume(cls, path: Path, *, job_id: str, fingerprint: str) -> Checkpoint:
        """The one of a submission that did not end."""
        found = cls(path)
        try:
            found._file = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            raise UsageError(f"{path}: no such checkpoint, so nothing to resume. Submit without --resume") from None
        except OSError as error:
            raise UsageError(f"{path}: the checkpoint cannot be opened: {error}") from error
        found._lock()
        found._read(job_id, fingerprint)
        return found

    @classmethod
    def check(cls, path: Path | None, *, job_id: str, fingerprint: str, resume: bool) -> None:
        """Raise what `start` or `resume` would, while there is no job yet."""
        if path is not None and resume:
            cls.resume(path, job_id=job_id, fingerprint=fingerprint).close()
        elif path is not None and path.exists():
            raise _is_there(path, job_id)

    def intend(self, chunk: Chunk) -> None:
        if chunk.seq not in self.sent:
            entry = len(chunk.ids), chunk.digest() if self.path else ""
            if self.path:
                self.sent[chunk.seq] = entry
            self._write(f"s {chunk.seq} {entry[0]} {entry[1]}")

    def failed(self, chunk: Chunk, verdict: Verdict) -> None:
        self._write(f"f {chunk.seq} {json.dumps(asdict(verdict))}")

    def settle(self, chunk: Chunk) -> None:
        # Goes with the next line or sync: when it is lost, the chunk is only asked about again.
        self._settled.append(f"d {chunk.seq}")

    def take_back(self, seq: int) -> None:
        self._write(f"u {seq}")

    def sync(self) -> None:
        if self._settled:
            self._write(self._settled.pop())
        if self._dirty:
            self._dirty = False
            os.fsync(self._file)

    def close(self, *, remove: bool = False) -> None:
        if self._file >= 0:
            self.sync()
            if remove and self.path is not None:
                self.path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1

    def _write(self, line: str) -> None:
        lines, self._settled = "\n".join((*self._settled, line, "")), []
        if self._file >= 0:
            os.write(self._file, lines.encode())
            self._dirty = True

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise UsageError(f"{self.path}: another submission is writing it. Wait for that one to end") from None

    def _read(self, job_id: str, fingerprint: str) -> None:
        assert self.path is not None
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._file, whole)
        head, *lines = data[:whole].decode(errors="replace").splitlines() or [""]
        failures: dict[int, list[Verdict]] = {}
        number = 1
        try:
            header = json.loads(head)
            if header["checkpoint"] != VERSION:
                raise ValueError(f"version {header['checkpoint']}")
            for number, line in enumerate(lines, 2):  # noqa: B007 - for the message
                self._take(line, failures)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UsageError(
                f"{self.path}:{number}: not a checkpoint's line ({error}). Delete the file, "
                "and submit under another --job-id"
            ) from error
        if header["job"] != job_id or header["fingerprint"] != fingerprint:
            raise UsageError(
                f"{self.path}: is of job {header['job']}"
                + ("" if header["job"] != job_id else ", which was defined otherwise then")
                + ". Submit the file as it was, or under another --job-id"
            )
        self.failures = [(seq, verdict) for seq, found in failures.items() if seq in self.done for verdict in found]

    def _take(self, line: str, failures: dict[int, list[Verdict]]) -> None:
        kind, _, rest = line.partition(" ")
        words: list[Any] = rest.split(" ", 1)
        seq = int(words[0])
        match kind:
            case "s":
                count, digest = words[1].split(" ")
                self.sent[seq] = int(count), digest
            case "d":
                self.done.add(seq)
            case "f":
                verdict = Verdict(**json.loads(words[1]))
                failures[seq] = [v for v in failures.get(seq, []) if v.task_id != verdict.task_id] + [verdict]
            case "u":
                self.done.discard(seq)
            case _:
                raise ValueError(f"unknown kind {kind!r}")


def _is_there(path: Path, job_id: str) -> UsageError:
    return UsageError(
        f"{path}: a checkpoint of job {job_id} is there: a submission did not end. Go on with --resume, "
        "or delete the file and the job"
    )
