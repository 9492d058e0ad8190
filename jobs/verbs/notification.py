"""A message at the end of a wait: the terminal's bell, or a webhook that gets how the job ended.

A webhook's address may be a secret (whoever has it may post): it is named by its host only, and may be given as a file.
It is sent to https, or to this machine. That it could not be sent changes no exit code.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ..session import Session

SECONDS: Final = 10  # for the receiver to answer
FIELDS: Final = ("job", "result", "succeeded", "failed", "unended")


@dataclass(frozen=True)
class Notify:
    """Who is told. `url` empty: only the bell."""

    url: str = ""
    bell: bool = False

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc.rpartition("@")[2]


def add_notify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bell", action="store_true", help="ring the terminal's bell at the end")
    parser.add_argument(
        "--notify",
        type=_url,
        metavar="URL",
        help=f"POST a JSON object with {', '.join(FIELDS)} to this address at the end (https, or http on this machine; "
        "@FILE reads the address from a file, so that it is on no command line)",
    )


def of(arguments: argparse.Namespace) -> Notify:
    return Notify(url=arguments.notify or "", bell=arguments.bell)


def _url(text: str) -> str:
    """The address, for argparse. The message never repeats it: it may be a secret."""
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise argparse.ArgumentTypeError(f"{text[1:]} cannot be read: {error}") from error
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise argparse.ArgumentTypeError("it is no address; give one like https://hooks.example.org/x") from None
    if not host or any(character.isspace() for character in text):
        raise argparse.ArgumentTypeError("it is no address; give one like https://hooks.example.org/x")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise argparse.ArgumentTypeError(
            f"{parts.scheme}://{host} is neither https nor on this machine; what is sent would be read on its way"
        )
    return text


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def announce(notify: Notify, session: Session) -> None:
    """Say, before the wait, what will be sent and where to."""
    if notify.url:
        session.render.words(f"at the end, {notify.host} is sent: {', '.join(FIELDS)} (nothing else)")


def send(notify: Notify, session: Session, *, job: str, result: str, **counts: int) -> None:
    """Ring and post; a failure is told in one line, without the address."""
    if notify.bell and session.render.live:
        session.render.escape("\a")
    if not notify.url:
        return
    body: dict[str, Any] = {"job": job, "result": result, **counts}
    if (problem := _post(notify.url, json.dumps(body).encode())) is None:
        session.render.words(f"{notify.host} was told")
    else:
        session.render.words(f"{notify.host} could not be told: {problem}")


def _post(url: str, body: bytes) -> str | None:
    """None when it was taken. No redirect is followed: it would take the message elsewhere."""
    import requests

    try:
        with requests.Session() as http:
            if urlsplit(url).scheme == "http":
                http.trust_env = False  # this machine is reached by no proxy
            answer = http.post(
                url, data=body, headers={"Content-Type": "application/json"}, timeout=SECONDS, allow_redirects=False
            )
    except requests.RequestException as error:
        return type(error).__name__
    return None if 200 <= answer.status_code < 300 else f"it answered {answer.status_code}"
