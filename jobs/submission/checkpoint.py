"""What survives the submitter: an append-only file that tells which chunks were sent, and which are settled.

The first line tells of which submission it is. Then one line each, written before the thing it announces: `j JSON` with
the job's creation time, `s SEQ COUNT DIGEST` before a chunk is sent the first time, `f SEQ JSON` for a task the service
refused, `d SEQ` once every task of the chunk has its verdict, `u SEQ` to take that back. Synced to disk every second.

Lines may be lost: the last second with a power failure, a part of a line with a kill, all lines while the disk is full
(the submission goes on without them, and they are written when there is room again). What they said is found out again
from the service, so a checkpoint that lacks its tail costs requests and nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from ..errors import MachineError, UsageError
from .chunks import Chunk
from .verdicts import Verdict

VERSION: Final = 2
READ: Final = (1, VERSION)  # the first had less in its first line
_NEW: Final = {"submission": "", "tasks": None, "input": ""}


_LOCKED_SECONDS: Final = 1.0
_WAIT: Final = "Wait for that one to end; if it ends early, go on with --resume"


class Checkpoint:
    """The file of one submission. With path None nothing is written, and nothing can be resumed.

    `identity` tells this submission from any other; `tasks` and `digest` are of the input, when it was known at the
    start; `job_created` is the service's creation time of the job, once it was read.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.identity = ""
        self.tasks: int | None = None
        self.digest = self.job_created = ""
        self.sent: dict[int, tuple[int, str]] = {}  # seq: count, digest
        self.done: set[int] = set()
        self.failures: list[tuple[int, Verdict]] = []
        self.fault: OSError | None = None  # why the last lines are not on disk
        self._file = -1
        self._size = 0  # bytes of whole lines on disk
        self._waiting: list[str] = []
        self._dirty = False

    @classmethod
    def start(
        cls, path: Path | None, *, job_id: str, fingerprint: str, tasks: int | None = None, digest: str = ""
    ) -> Checkpoint:
        """A new one. A file that is there already, whatever it is, is not touched: `UsageError`."""
        made = cls(path)
        made.identity = uuid4().hex
        made.tasks = tasks
        made.digest = digest
        if path is None:
            return made
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            made._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise _is_there(path, job_id) from None
        except OSError as error:
            raise _unwritable(path, error) from error
        made._lock()
        header = {"checkpoint": VERSION, "job": job_id, "fingerprint": fingerprint, "submission": made.identity}
        made._write(json.dumps(header | {"tasks": tasks, "input": digest}))
        made.sync()
        if made.fault is not None:
            made.close(remove=True)
            raise _unwritable(path, made.fault)
        _sync_folder(path.parent)
        return made

    @classmethod
    def resume(cls, path: Path, *, job_id: str, fingerprint: str) -> Checkpoint:
        """The one of a submission that did not end. Raises `UsageError`, also when it is another job's."""
        found = cls(path)
        try:
            found._file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            raise UsageError(
                f"{path}: no such checkpoint, so nothing to resume", next_step="submit without --resume"
            ) from None
        except OSError as error:
            raise UsageError(
                f"{path}: the checkpoint cannot be opened: {error.strerror}", next_step="correct that"
            ) from error
        found._lock()
        try:
            found._read(job_id, fingerprint)
        except UsageError:
            os.close(found._file)
            raise
        return found

    def saw_job(self, created: str) -> None:
        """The job is there, and this is its creation time."""
        if created and created != self.job_created:
            self.job_created = created
            self._write(f"j {json.dumps({'created': created})}")
            self.sync()

    def intend(self, chunk: Chunk) -> None:
        if self.path is not None and chunk.seq not in self.sent:
            entry = len(chunk.ids), chunk.digest()
            self.sent[chunk.seq] = entry
            self._write(f"s {chunk.seq} {entry[0]} {entry[1]}")

    def failed(self, chunk: Chunk, verdict: Verdict) -> None:
        self._write(f"f {chunk.seq} {json.dumps(asdict(verdict))}")

    def settle(self, chunk: Chunk) -> None:
        # Goes with the next line or sync: when it is lost, the chunk is only asked about again.
        if self._file >= 0:
            self._waiting.append(f"d {chunk.seq}")

    def take_back(self, seq: int) -> None:
        self._write(f"u {seq}")

    def sync(self) -> None:
        """Bring everything to disk; `fault` tells when that did not do."""
        self._flush()
        if self._dirty and self.fault is None:
            self._dirty = False
            try:
                os.fsync(self._file)
            except OSError as error:
                self.fault = error
                self._dirty = True

    def close(self, *, remove: bool = False) -> None:
        if self._file >= 0:
            self.sync()
            if remove and self.path is not None:
                try:
                    self.path.unlink(missing_ok=True)
                except OSError as error:
                    self.fault = error
            os.close(self._file)
            self._file = -1

    def _write(self, line: str) -> None:
        if self._file >= 0:
            self._waiting.append(line)
            self._flush()

    def _flush(self) -> None:
        """Append the waiting lines, each whole or not at all; what the disk does not take waits."""
        while self._waiting:
            data = ("\n".join(self._waiting) + "\n").encode()
            count, offset = len(self._waiting), self._size
            try:
                while data:
                    written = os.pwrite(self._file, data, offset)
                    offset += written
                    data = data[written:]
            except OSError as error:
                self.fault = error
                return  # the next try begins where whole lines end, and writes over the part of a line
            self._size = offset
            self._dirty = True
            self.fault = None
            del self._waiting[:count]

    def _lock(self) -> None:
        """A lock is its owner's processes': one that was just started has it too until its program begins, so a lock
        that somebody has is looked at again for a moment."""
        until = time.monotonic() + _LOCKED_SECONDS
        while True:
            try:
                return fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(0.05)
                    continue
                os.close(self._file)
                raise UsageError(f"{self.path}: another submission is writing it", next_step=_WAIT) from None

    def _read(self, job_id: str, fingerprint: str) -> None:
        assert self.path is not None
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{self.path}: the checkpoint cannot be read: {error.strerror}", next_step="correct that"
            ) from error
        lost = data.find(b"\x00")  # what a file system may leave where a power failure took the end
        data = data if lost < 0 else data[:lost]
        whole = data.rfind(b"\n") + 1
        head, *lines = data[:whole].decode(errors="replace").splitlines() or [""]
        header = _header(head)
        if header is None:
            raise UsageError(
                f"{self.path}:1: not the first line of a checkpoint (this version's are number {VERSION})",
                next_step=(
                    "if a submission wrote it, submit the same file with its --job-id and without --resume, with "
                    "another --checkpoint: what the job has already is found out, and not sent again"
                ),
            )
        if header["job"] != job_id or header["fingerprint"] != fingerprint:
            otherwise = "" if header["job"] != job_id else ", which was defined otherwise then"
            raise UsageError(
                f"{self.path}: is of job {header['job']}{otherwise}",
                next_step="submit the file as it was, or under another --job-id and --checkpoint",
            )
        self.identity = header["submission"]
        self.tasks = header["tasks"]
        self.digest = header["input"]
        failures: dict[int, list[Verdict]] = {}
        number = 1
        try:
            for number, line in enumerate(lines, 2):  # noqa: B007 - for the message
                self._take(line, failures)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UsageError(
                f"{self.path}:{number}: not a checkpoint's line ({error})",
                next_step="delete this line and those after it, and resume: the service tells what they said",
            ) from error
        self.failures = [(seq, verdict) for seq, found in failures.items() if seq in self.done for verdict in found]
        self._size = whole
        os.ftruncate(self._file, whole)

    def _take(self, line: str, failures: dict[int, list[Verdict]]) -> None:
        kind, _, rest = line.partition(" ")
        if kind == "j":
            self.job_created = str(json.loads(rest)["created"])
            return
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


def job_of(path: Path) -> str | None:
    """The id of the job that a checkpoint is of. None: it is no checkpoint. Raises `UsageError`: it cannot be read."""
    try:
        with path.open("rb") as stream:
            header = _header(stream.readline().decode(errors="replace"))
    except OSError as error:
        raise UsageError(
            f"{path}: the checkpoint cannot be read: {error.strerror}", next_step="correct that"
        ) from error
    return None if header is None else str(header["job"])


def in_use(path: Path) -> bool:
    """Whether a submission that runs now is writing it."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _header(line: str) -> dict[str, Any] | None:
    try:
        header = json.loads(line)
        known = header["checkpoint"] in READ and {"job", "fingerprint"} <= {*header}
    except (ValueError, KeyError, TypeError):
        return None
    return _NEW | header if known else None


def _is_there(path: Path, job_id: str) -> UsageError:
    try:
        other = job_of(path)
    except UsageError as error:
        return error
    if other is None:
        return UsageError(
            f"{path}: there is a file already, and it is no checkpoint", next_step="name another --checkpoint"
        )
    if other != job_id:
        return UsageError(
            f"{path}: is the checkpoint of job {other}, whose submission did not end",
            next_step=f"name another --checkpoint for job {job_id}",
        )
    if in_use(path):
        return UsageError(f"{path}: another submission is writing it", next_step=_WAIT)
    return UsageError(
        f"{path}: a checkpoint of job {job_id} is there: a submission did not end", next_step="go on with --resume"
    )


def _unwritable(path: Path, error: OSError) -> MachineError:
    return MachineError(
        f"{path}: the checkpoint cannot be written: {error.strerror or error}",
        cause="nothing was sent",
        next_step="name another --checkpoint, on a disk that has room",
    )


def _sync_folder(folder: Path) -> None:
    """So that a power failure does not take the new file's name."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)
