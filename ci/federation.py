"""The job's federated identity, kept fresh for as long as a deployment lasts.

GitHub signs a token of a few minutes that says which repository, branch and environment the job runs for; Entra takes
it for an access token (workload identity federation). There is no secret to store. Programs that find
AZURE_FEDERATED_TOKEN_FILE read the file again when their access token ends: the state backend and the secrets key
(azidentity), `python -m jobs` (azure-identity). azure-native asks GitHub itself (ARM_USE_OIDC). So a long `up` goes on
when the file is renewed; `azure/login` alone writes one assertion that ends after minutes (Azure/login#372).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import tempfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ci.github import masked
from ci.program import PipelineError, words

AUDIENCE: Final = "api://AzureADTokenExchange"
"""What the federated credentials of `bootstrap/` expect."""
RENEW_SECONDS: Final = 120.0
"""GitHub's token lives five minutes; renewed in time for one lost attempt."""
RETRY_SECONDS: Final = 10.0
TIMEOUT_SECONDS: Final = 20


@dataclass(frozen=True)
class Issuer:
    """Where a job asks for its token (GitHub sets both with `id-token: write`)."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Issuer | None:
        """None outside of a workflow with `id-token: write`: whoever runs the script is signed in by other means."""
        url, token = (environment.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
        return cls(url, token) if url and token else None

    def assertion(self) -> str:
        """A fresh token for Entra. Raises `PipelineError`."""
        joined = "&" if "?" in self.url else "?"
        request = urllib.request.Request(  # noqa: S310  the address is the runner's own
            f"{self.url}{joined}{urllib.parse.urlencode({'audience': AUDIENCE})}",
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                value = json.load(answer).get("value")
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            raise PipelineError(
                "GitHub gave no identity token", cause=str(error), next_step="give the job `id-token: write`"
            ) from None
        if not value:
            raise PipelineError("GitHub's answer has no identity token", next_step="give the job `id-token: write`")
        return str(value)


@contextlib.contextmanager
def signed_in(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """`identity`, with a folder of its own that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="ci-") as folder, identity(environment, Path(folder)) as variables:
        yield variables


@contextlib.contextmanager
def identity(environment: Mapping[str, str], folder: Path, every: float = RENEW_SECONDS) -> Iterator[dict[str, str]]:
    """Variables for programs that act as the job's identity; their token file is renewed until the block ends.

    Empty outside of a workflow. The file is its owner's only, and is deleted at the end.
    """
    issuer = Issuer.of(environment)
    if issuer is None:
        yield {}
        return
    missing = [name for name in ("ARM_CLIENT_ID", "ARM_TENANT_ID") if not environment.get(name)]
    if missing:
        raise PipelineError(
            f"{' and '.join(missing)} not set",
            next_step="set the variables of the job's environment that `bootstrap/` printed (docs/ci.md)",
        )
    file = folder / "federated-token"
    _write(file, issuer)
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(file, issuer, every, stop), name="token renewal", daemon=True)
    renewal.start()
    try:
        yield {
            "AZURE_FEDERATED_TOKEN_FILE": str(file),
            "AZURE_CLIENT_ID": environment["ARM_CLIENT_ID"],
            "AZURE_TENANT_ID": environment["ARM_TENANT_ID"],
            "ARM_USE_OIDC": "true",
        }
    finally:
        stop.set()
        renewal.join(TIMEOUT_SECONDS + 1)
        file.unlink(missing_ok=True)


def _renew(file: Path, issuer: Issuer, every: float, stop: threading.Event) -> None:
    wait = every
    while not stop.wait(wait):
        try:
            _write(file, issuer)
            wait = every
        except PipelineError as error:
            words(f"the identity token was not renewed, tried again in {RETRY_SECONDS:.0f} s: {error.fact}")
            wait = min(every, RETRY_SECONDS)


def _write(file: Path, issuer: Issuer) -> None:
    """Replace the file in one step: a reader has the old or the new token, never half of one."""
    value = issuer.assertion()
    masked(value)
    new = file.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(value)
    new.replace(file)
