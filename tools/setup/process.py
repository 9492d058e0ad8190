"""Running a program of the set-up: its output goes to a log, and only a failure shows the end of it.

Steps run side by side, each in a thread; when one fails, or a person interrupts, `stop_all` ends the programs of the
others. What must not be stopped half way (dpkg) is waited for.
"""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.errors import SetupError
from tools.setup import places

SHOWN_LINES = 15
STOP_SECONDS = 10.0
INTERRUPT_SECONDS = 0.2  # a Ctrl-C at the terminal may end a program before this process hears of it

# What a program's output says of the cause, and what helps: the advice of the step itself ("is a registry reachable?")
# would lead astray. The first that is found counts; put together from the messages of pip, uv, npm, apt and Go.
CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"no space left on device|ENOSPC|os error 28\b|write error.*space",
        "the disk is full",
        "make room (df -h shows where), then the same command again",
    ),
    (
        r"THESE PACKAGES DO NOT MATCH THE HASHES|hash mismatch|EINTEGRITY|checksum mismatch|hash sum mismatch",
        "what was downloaded is not what this repository pins",
        "something between here and the registry changes files, or a file was replaced: do not go on before you know",
    ),
    (
        r"certificate[ _]verify[ _]failed|self.signed[ _]cert|unable to get (local )?issuer|UNABLE_TO_GET_ISSUER|"
        r"UNABLE_TO_VERIFY_LEAF|invalid peer certificate|UnknownIssuer|x509:|certificate verification failed",
        "the registry is reachable, but its certificate is not trusted (a company's proxy?)",
        "name its issuer's certificate file: SSL_CERT_FILE (uv, Go), PIP_CERT (pip), NODE_EXTRA_CA_CERTS (npm)",
    ),
    (
        r"\b(401|407)\b.*(unauthorized|authentication|proxy)|E401|(unauthorized|authentication required)|403 forbidden",
        "the registry, or the proxy before it, refuses this user",
        "set the credentials of the registry or of the proxy as its program wants them (pip.conf, .npmrc, HTTPS_PROXY)",
    ),
    (
        r"could not get lock|unable to (acquire|lock)",
        "another program installs Debian packages at this moment",
        "wait for it to end, then the same command again",
    ),
    (
        r"EACCES|permission denied|read-only file system|EROFS",
        "a folder may not be written to",
        "the lines above name it: give it to this user, then the same command again",
    ),
)


class Stopped(Exception):
    """A program was ended, or not started, because the set-up is being stopped."""


_stopping = threading.Event()
_running: dict[subprocess.Popen[bytes], str] = {}
_lock = threading.Lock()


def log_file() -> Path:
    folder = places.home() / "log"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    places.home().chmod(0o700)
    file = folder / "setup.log"
    file.touch(mode=0o600)
    return file


def run(
    argv: Sequence[str],
    *,
    what: str,
    next_step: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    watch: Callable[[str], None] | None = None,
    keep_open: Sequence[int] = (),
    to_its_end: bool = False,
) -> None:
    """Run `argv` to its end; `SetupError` with the last lines of its output and their cause if it fails.

    `watch` gets each line of output. The program keeps the file descriptors `keep_open`. One that runs `to_its_end` is
    neither stopped by `stop_all` nor by a Ctrl-C at the terminal.
    """
    log = log_file()
    last: deque[str] = deque(maxlen=SHOWN_LINES)
    with log.open("ab", buffering=0) as out:
        out.write(f"\n$ {' '.join(argv)}\n".encode())
        process = _start(argv, what, next_step, env, cwd, keep_open, to_its_end)
        assert process.stdout is not None
        try:
            with process.stdout:
                for line in process.stdout:
                    out.write(line if line.endswith(b"\n") else line + b"\n")
                    text = line.decode(errors="replace").rstrip()
                    last.append(text)
                    if watch:
                        watch(text)
            code = process.wait()
        except BaseException:
            if not to_its_end:
                process.send_signal(signal.SIGINT)
            process.wait()
            raise
        finally:
            with _lock:
                _running.pop(process)
    if code:
        if _stopping.wait(INTERRUPT_SECONDS):
            raise Stopped(what)
        raise failed(what, code, list(last), next_step)


def _start(
    argv: Sequence[str],
    what: str,
    next_step: str,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    keep_open: Sequence[int],
    to_its_end: bool,
) -> subprocess.Popen[bytes]:
    with _lock:
        if _stopping.is_set():
            raise Stopped(what)
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                pass_fds=keep_open,
                # The password of sudo is this terminal's: `root.py`.
                start_new_session=to_its_end and argv[0] != "sudo",
            )
        except FileNotFoundError:
            raise SetupError(f"{what}: the program '{argv[0]}' is not on this machine", next_step=next_step) from None
        _running[process] = what if to_its_end else ""
        return process


def failed(what: str, code: int, lines: list[str], next_step: str) -> SetupError:
    """What to say of a program that failed: its last lines, the cause that they name, and advice that fits it."""
    cause, helps = diagnose("\n".join(lines))
    tail = "\n".join(f"    {line}" for line in lines if line)
    ended = f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"
    return SetupError(
        "\n".join(part for part in (f"{what} failed ({ended})", tail) if part),
        cause=cause,
        next_step=helps or next_step,
        log=str(log_file()),
    )


def diagnose(output: str) -> tuple[str, str]:
    """The cause that the output of a program names, and what helps; ("", "") if it names none that we know."""
    for pattern, cause, helps in CAUSES:
        if re.search(pattern, output, re.IGNORECASE):
            return cause, helps
    return "", ""


def pause(seconds: float) -> None:
    """Wait; `Stopped` if the set-up is being stopped."""
    if _stopping.wait(seconds):
        raise Stopped


def stop_all(say: Callable[[str], None]) -> None:
    """End the programs that run, start no other; return when all have ended. Said of those that are waited for."""
    with _lock:
        _stopping.set()
        running = dict(_running)
    for process, waited_for in running.items():
        if waited_for:
            say(f"{waited_for}: waiting for its end, so that nothing is half installed")
        elif process.poll() is None:
            process.send_signal(signal.SIGINT)  # Go removes its temporary files on this one
    for process, waited_for in running.items():
        try:
            process.wait(timeout=None if waited_for else STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
