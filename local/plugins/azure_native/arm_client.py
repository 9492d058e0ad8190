"""Requests to ARM: metadata, sign-in, retries, and errors in azure-native's words.

One `ArmClient` per configured provider, used from many threads. Every wait ends when the engine cancels, also the wait
for an answer: a request under way gets `ANSWER_AFTER_CANCEL_SECONDS` more. A connection error is retried for
`RECONNECT_SECONDS`: a local Azure that restarts keeps its port and its state, and all requests made here are idempotent
(GET, PUT, DELETE, and POST actions that list).
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, Final, TypeVar

import requests
from requests.adapters import HTTPAdapter

from local.plugins.azure_native.config import Config
from local.plugins.protocol.errors import Cancelled, CloudError

RECONNECT_SECONDS: Final = 60.0
CONNECT_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 120.0
# The engine kills a plugin five seconds after an interrupt: what is known by then must have been told.
ANSWER_AFTER_CANCEL_SECONDS: Final = 0.7
_CANCEL_CHECK_SECONDS: Final = 0.1
# Requests that may be under way at once; the engine's own limit of parallel operations is lower.
_REQUESTS: Final = 256
# Statuses and attempts of azcore's default retry policy, which the real plugin uses.
RETRY_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
RETRIES: Final = 3
REQUEST_TIMEOUT: Final = 408
_TOKEN_MARGIN: Final = 60.0
"""A token is renewed this long before it ends, so that it lasts for a request that takes its time."""
_FEDERATION_AUDIENCE: Final = "api://AzureADTokenExchange"
"""Of identity tokens that Entra takes (the real plugin's default)."""
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 5.0

Result = TypeVar("Result")


class ArmError(CloudError):
    """ARM said no. The text is azure-native's: Status=400 Code="..." Message="..."."""

    def __init__(
        self, status: int, code: str, message: str, details: object = None, *, may_have_been_taken: bool = False
    ) -> None:
        text = f'Status={status} Code="{code}" Message="{message}"'
        super().__init__(text + (f" Details={json.dumps(details)}" if details else ""))
        self.status = status
        self.error_code = code
        # An attempt of the request was answered by a server error, or not at all: ARM may be at work on it.
        self.may_have_been_taken = may_have_been_taken

    @classmethod
    def of(cls, status: int, body: Any, *, may_have_been_taken: bool = False) -> ArmError:
        """From an error body, or whatever came in its place."""
        error = body.get("error", body) if isinstance(body, dict) else {}
        if isinstance(error, dict) and error.get("code"):
            code, message, details = str(error["code"]), str(error.get("message", "")), error.get("details")
        else:
            code, message, details = "Unknown", str(body or "the service gave no reason")[:500], None
        return cls(status, code, message, details, may_have_been_taken=may_have_been_taken)


class ArmClient:
    """Authenticated requests to one cloud."""

    def __init__(self, config: Config, cancelled: threading.Event) -> None:
        self._config = config
        self._cancelled = cancelled
        self._session = requests.Session()
        self._session.verify = config.ca_bundle or True
        self._session.mount("https://", HTTPAdapter(pool_maxsize=64))
        self._sign_in = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}  # by scope, with the time until which each may be used
        self._metadata: dict[str, Any] = {}
        self._requests = ThreadPoolExecutor(_REQUESTS, "arm-request")

    # -- requests ------------------------------------------------------------------------------------------------

    def get(self, path: str, api_version: str | None = None, patience: float | None = None) -> requests.Response:
        """GET; 404 and 204 are answers here, not errors."""
        return self.send("GET", path, api_version, accept={404}, patience=patience)

    def send(
        self,
        method: str,
        path: str,
        api_version: str | None = None,
        body: Any = None,
        accept: set[int] | None = None,
        patience: float | None = None,
    ) -> requests.Response:
        """One request, `path` absolute or a whole URL (of a long-running operation); raises ArmError on 4xx and 5xx.

        A connection that fails is tried again for `patience` seconds (default: RECONNECT_SECONDS).
        """

        lost_answers = 0

        def attempt() -> requests.Response:
            nonlocal lost_answers
            lost_answers += 1
            response = self._until_cancelled(self._requests.submit(self._once, method, path, api_version, body))
            lost_answers -= response.status_code < 500 and response.status_code != REQUEST_TIMEOUT
            return response

        response = self._reconnecting(attempt, patience)
        for repetition in range(RETRIES):
            if response.status_code not in RETRY_STATUSES:
                break
            self.wait(retry_after(response, _FIRST_WAIT * 2**repetition))
            response = self._reconnecting(attempt, patience)
        if response.status_code >= 400 and response.status_code not in (accept or ()):
            raise ArmError.of(response.status_code, parsed(response), may_have_been_taken=lost_answers > 0)
        return response

    def _once(self, method: str, path: str, api_version: str | None, body: Any) -> requests.Response:
        cloud = self.metadata()
        url = path if path.startswith("https://") else str(cloud["resourceManager"]).rstrip("/") + path
        token = self._token(cloud["authentication"]["audiences"][0])
        return self._session.request(
            method,
            url,
            params={"api-version": api_version} if api_version else None,
            json=body,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            allow_redirects=False,
        )

    def _until_cancelled(self, request: Future[Result]) -> Result:
        """The result of a request under way; after a cancellation it is waited for only a little longer."""
        cancelled_at: float | None = None
        while True:
            try:
                return request.result(_CANCEL_CHECK_SECONDS)
            except NotYet:
                if request.done():  # the request's own timeout
                    raise
            if self._cancelled.is_set():
                cancelled_at = cancelled_at or time.monotonic()
                if time.monotonic() - cancelled_at > ANSWER_AFTER_CANCEL_SECONDS:
                    raise Cancelled("cancelled by the engine before the cloud answered")

    def wait(self, seconds: float) -> None:
        """Wait, unless the engine cancels."""
        if self._cancelled.wait(seconds):
            raise Cancelled("cancelled by the engine")

    def _reconnecting(self, work: Callable[[], Result], patience: float | None = None) -> Result:
        """Repeat `work` while the service cannot be reached, for a limited time."""
        patience = RECONNECT_SECONDS if patience is None else patience
        deadline, pause = time.monotonic() + patience, _FIRST_WAIT
        while True:
            try:
                return work()
            except requests.exceptions.SSLError as error:
                raise CloudError(
                    f"{self._config.metadata_host} has a certificate that is not trusted ({error}); "
                    "SSL_CERT_FILE must name the cloud's CA"
                ) from None
            except (
                requests.exceptions.ConnectionError,
                requests.exceptions.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                if time.monotonic() + pause > deadline:
                    raise CloudError(
                        f"Azure Resource Manager at {self._config.metadata_host} cannot be reached (tried for "
                        f"{patience:.0f} s): {error}. Is it running? `python -m local status` tells"
                    ) from None
            self.wait(pause)
            pause = min(pause * 2, _LONGEST_WAIT)

    # -- the cloud and the caller --------------------------------------------------------------------------------

    def metadata(self) -> dict[str, Any]:
        """The cloud's endpoints, asked for once."""
        if not self._metadata:
            url = f"https://{self._config.metadata_host}/metadata/endpoints"
            response = self._session.get(
                url, params={"api-version": "2022-09-01"}, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)
            )
            found = parsed(response)
            if response.status_code != 200 or not isinstance(found, dict) or "resourceManager" not in found:
                raise CloudError(
                    f"{url} does not describe a cloud (status {response.status_code}); check ARM_METADATA_HOSTNAME"
                )
            self._metadata = found
        return self._metadata

    def token(self, audience: str | None = None) -> str:
        """A token of the configured client for an audience (default: ARM)."""
        return self._reconnecting(lambda: self._token(audience or self.metadata()["authentication"]["audiences"][0]))

    def _token(self, audience: str) -> str:
        """The token in hand while it lasts, else a new one. Requests that need one at the same time share it."""
        scope = audience if audience.endswith("/.default") else audience.rstrip("/") + "/.default"
        with self._sign_in:
            token, until = self._tokens.get(scope, ("", 0.0))
            if time.monotonic() >= until:
                token, seconds = self._request_token(scope)
                self._tokens[scope] = token, time.monotonic() + seconds - _TOKEN_MARGIN
        return token

    def _request_token(self, scope: str) -> tuple[str, float]:
        """A token and the seconds that it lasts: the client credentials grant (RFC 6749, 4.4; Entra's v2.0 endpoint),
        by the client's secret or by the identity token of a job of GitHub's (RFC 7523, 2.2).

        Not by azure-identity: its import and its discovery requests were a seventh of a preview, and it answers from
        memory for a minute after one server error.
        """
        endpoint = str(self.metadata()["authentication"]["loginEndpoint"]).rstrip("/")
        form = {
            "grant_type": "client_credentials",
            "client_id": self._config.client_id,
            "scope": scope,
            **self._proof(),
        }
        url = f"{endpoint}/{self._config.tenant_id}/oauth2/v2.0/token"

        def request() -> requests.Response:
            return self._session.post(url, data=form, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), allow_redirects=False)

        response = request()
        for repetition in range(RETRIES):
            if response.status_code not in RETRY_STATUSES:
                break
            self.wait(retry_after(response, _FIRST_WAIT * 2**repetition))
            response = request()
        body = parsed(response)
        token = body.get("access_token") if isinstance(body, dict) else None
        if response.status_code == 200 and isinstance(token, str):
            return token, _seconds(body.get("expires_in"))
        reason = body.get("error_description") or body.get("error") if isinstance(body, dict) else None
        raise CloudError(
            f"signing in as client {self._config.client_id} at {endpoint} failed (status {response.status_code}): "
            f"{reason or 'the answer holds no token'}"
        )

    def _proof(self) -> dict[str, str]:
        """What the client proves itself with."""
        if not self._config.oidc_request_url:
            return {"client_secret": self._config.client_secret}
        response = self._session.get(
            self._config.oidc_request_url,
            params={"audience": _FEDERATION_AUDIENCE},
            headers={"Authorization": f"Bearer {self._config.oidc_request_token}"},
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            allow_redirects=False,
        )
        body = parsed(response)
        assertion = body.get("value") if isinstance(body, dict) else None
        if response.status_code != 200 or not isinstance(assertion, str):
            raise CloudError(f"GitHub gave no identity token for the job (status {response.status_code})")
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }

    def object_id(self) -> str:
        """The caller's object id: the claim `oid` of its token."""
        claims = self.token().split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))).get("oid", ""))


def parsed(response: requests.Response) -> Any:
    """The JSON body, or the text, or None."""
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return response.text


def retry_after(response: requests.Response, otherwise: float) -> float:
    """Seconds that the service asks to wait."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return otherwise


def _seconds(value: object) -> float:
    """`expires_in` as a number; a token that does not say how long it lasts is used once."""
    try:
        return float(str(value))
    except ValueError:
        return 0.0
