"""Programs of the set-up: the cause of a failure is read from their output, and all of them can be ended."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.tools.machine import Machine
from tools.errors import SetupError
from tools.setup import process

Until = Callable[[Callable[[], object]], None]
OUTPUTS = {
    "disk": (
        "npm error code ENOSPC",
        "npm error nospc ENOSPC: no space left on device, write",
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
        "error: failed to copy file: No space left on device (os error 28)",
        "compile: writing output: write $WORK/b001/_pkg_.a: no space left on device",
        "E: Write error - write (28: No space left on device)",
    ),
    "pins": (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
        "  Hash mismatch for `six==1.17.0`",
        "npm error code EINTEGRITY",
        "verifying example.org/x@v1: checksum mismatch",
        "E: Failed to fetch http://mirror/x.deb  Hash Sum mismatch",
    ),
    "certificate": (
        "npm error code SELF_SIGNED_CERT_IN_CHAIN",
        "npm error code UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "npm error code UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed'))",
        "  Caused by: invalid peer certificate: UnknownIssuer",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    "refuses": (
        "npm error code E401",
        "  HTTP status client error (401 Unauthorized) for url (https://index/six/)",
        "reading https://proxy/x/@v/list: 403 Forbidden",
        "npm error 407 Proxy Authentication Required",
    ),
    "another program": ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (apt)",),
    "written": ("npm error code EACCES", "PermissionError: [Errno 13] Permission denied: '/x'"),
}


@pytest.mark.parametrize(("word", "line"), [(word, line) for word, lines in OUTPUTS.items() for line in lines])
def test_the_advice_fits_the_cause_that_the_program_names(machine: Machine, word: str, line: str) -> None:
    program = machine.program("installer", f"cat <<'EOF'\nbegin\n{line}\nend\nEOF\nexit 1")
    with pytest.raises(SetupError) as caught:
        process.run([str(program)], what="installing it", next_step="check that a registry is reachable")
    text = str(caught.value)
    assert line in text and word in caught.value.cause
    assert "reachable\n" not in text.partition("next:")[2]
    assert f"log:   {process.log_file()}" in text


@pytest.mark.parametrize(
    "line", ["npm error code ENOTFOUND", "npm error 404 Not Found", "dial tcp: lookup proxy: no such host", ""]
)
def test_where_the_output_names_no_cause_that_we_know_the_advice_is_that_of_the_step(
    machine: Machine, line: str
) -> None:
    program = machine.program("installer", f"echo '{line}'; exit 7")
    with pytest.raises(SetupError, match=r"installing it failed \(exit code 7\)[^$]*next:  check that a registry"):
        process.run([str(program)], what="installing it", next_step="check that a registry is reachable")


def test_a_program_that_was_killed_is_said_to_be(machine: Machine) -> None:
    with pytest.raises(SetupError, match="ended by SIGKILL"):
        process.run([str(machine.program("installer", "kill -9 $$"))], what="it", next_step="")


def test_each_line_is_watched_and_logged(machine: Machine) -> None:
    seen: list[str] = []
    program = machine.program("installer", "printf 'one\\ntwo \\377\\nthree'")
    process.run([str(program)], what="it", next_step="", watch=seen.append)
    assert seen == ["one", "two �", "three"]
    assert process.log_file().read_bytes().endswith(b"\none\ntwo \xff\nthree\n")


def test_stopping_ends_programs_waits_for_those_that_must_not_be_cut_off_and_starts_no_other(
    machine: Machine, until: Until
) -> None:
    download = machine.program("download", "touch $M/downloading; exec sleep 60")
    install = machine.program("install", "touch $M/installing; while [ -e $M/installing ]; do sleep 0.02; done")
    ends: dict[str, str] = {}

    def run(name: str, command: str, to_its_end: bool) -> None:
        try:
            process.run([command], what=name, next_step="", to_its_end=to_its_end)
            ends[name] = "done"
        except process.Stopped:
            ends[name] = "stopped"

    threads = [
        threading.Thread(target=run, args=("downloading", str(download), False)),
        threading.Thread(target=run, args=("installing", str(install), True)),
    ]
    for thread in threads:
        thread.start()
    for name in ("downloading", "installing"):
        until((machine.folder / name).exists)
    stopping = threading.Thread(target=process.stop_all, args=(machine.say,))
    stopping.start()
    until(lambda: ends)
    assert ends == {"downloading": "stopped"}
    assert machine.said == ["installing: waiting for its end, so that nothing is half installed"]
    (machine.folder / "installing").unlink()
    for thread in (*threads, stopping):
        thread.join()
    assert ends == {"downloading": "stopped", "installing": "done"}
    with pytest.raises(process.Stopped):
        process.run([str(download)], what="another", next_step="")
