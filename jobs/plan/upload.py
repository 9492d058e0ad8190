"""Put inputs that are missing into the job's container, several at a time. What was checked is what is sent."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Final

from ..errors import JobsError, UsageError
from ..service.storage import Blobs
from ..terminal.display import Display
from ..terminal.wording import counted, size_in_words
from .input_files import LocalFile
from .resource_files import PREFIX, Uploads

AT_A_TIME: Final = 8
TOLD_EVERY: Final = 2.0  # seconds between two words of progress


@dataclass(frozen=True)
class Uploaded:
    """How many files were sent, and how many had been there; in bytes, too."""

    sent: int = 0
    sent_bytes: int = 0
    present: int = 0
    present_bytes: int = 0


class Checked:
    """The file's bytes as they were when it was looked at. Another content is refused before its last byte is given
    out, so no blob is ever made of it."""

    def __init__(self, file: LocalFile, tally: _Tally) -> None:
        self._file = file
        self._tally = tally
        self._stream = file.path.open("rb")
        self._hash = sha256()
        self._left = file.size

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as `io.RawIOBase.read`."""
        if self._tally.stop:
            raise UsageError("the upload was ended")
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data = self._stream.read(wanted)
        self._hash.update(data)
        self._left -= len(data)
        if len(data) < wanted or (not self._left and self._hash.hexdigest() != self._file.digest):
            raise UsageError(
                f"{self._file.path} changed while it was submitted", next_step="submit again when nobody writes it"
            )
        self._tally.add(bytes=len(data))
        return data

    def close(self) -> None:
        self._stream.close()


def upload(blobs: Blobs, uploads: Uploads, progress: Callable[[str], None] = lambda text: None) -> Uploaded:
    """Upload what is missing. Raises `ServiceError` and `UsageError`; then what was sent stays for the next time."""
    tally, total = _Tally(), len(uploads.files)
    files = iter(uploads.files.items())
    running: set[Future[None]] = set()
    told_at = time.monotonic()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            while True:
                for digest, file in islice(files, 2 * AT_A_TIME - len(running)):
                    running.add(pool.submit(_one, blobs, uploads.container, digest, file, tally))
                if not running:
                    return tally.result()
                finished, running = wait(running, timeout=TOLD_EVERY, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                if time.monotonic() - told_at >= TOLD_EVERY:
                    told_at = time.monotonic()
                    progress(f"  inputs: {tally.done} of {counted(total, 'file')}, {_sizes(tally, uploads)}")
        except BaseException:
            tally.stop = True
            pool.shutdown(cancel_futures=True)
            raise


def put(blobs: Blobs, uploads: Uploads, display: Display) -> None:
    """Upload, and say what was sent, what was there, and that it stays."""
    where = f"{uploads.container}/{PREFIX}"
    try:
        done = upload(blobs, uploads, display.progress)
    except JobsError as error:
        error.add_note(f"Inputs that were sent stay in {where} and are not sent again")
        raise
    told = [f"{counted(done.sent, 'file')} ({size_in_words(done.sent_bytes)}) sent to {where}"] if done.sent else []
    if done.present:
        told.append(f"{counted(done.present, 'file')} ({size_in_words(done.present_bytes)}) there already")
    display.words(f"inputs: {', '.join(told)}; they stay for other jobs (docs/jobfile.md: how to remove them)")


def _sizes(tally: _Tally, uploads: Uploads) -> str:
    return f"{size_in_words(tally.bytes)} of {size_in_words(uploads.size)}"


def _one(blobs: Blobs, container: str, digest: str, file: LocalFile, tally: _Tally) -> None:
    name = f"{PREFIX}{digest}"
    if blobs.size_of(container, name) == file.size:
        tally.add(present=1, present_bytes=file.size, bytes=file.size)
        return
    try:
        stream = Checked(file, tally)
    except OSError as error:
        raise UsageError(f"{file.path} cannot be read any more: {error.strerror}", next_step="submit again") from error
    try:
        blobs.write(container, name, stream, file.size)
    finally:
        stream.close()
    tally.add(sent=1, sent_bytes=file.size)


class _Tally:
    """Counts of several threads. `stop`: nothing more is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self.stop = False

    def add(self, **counts: int) -> None:
        with self._lock:
            self._counts.update(counts)

    @property
    def done(self) -> int:
        return self._counts["sent"] + self._counts["present"]

    @property
    def bytes(self) -> int:
        return self._counts["bytes"]

    def result(self) -> Uploaded:
        return Uploaded(**{name: self._counts[name] for name in ("sent", "sent_bytes", "present", "present_bytes")})
