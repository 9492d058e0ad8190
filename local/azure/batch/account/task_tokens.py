"""Authentication tokens of tasks: `authenticationTokenSettings` gives a task AZ_BATCH_AUTHENTICATION_TOKEN, with which
it may do everything with its own job, and nothing else (REST reference of `AuthenticationTokenSettings`).

The documents say how a task gets a token, not what is in it, nor how long it is good. Ours is a JWT signed with a
secret of the account, good as long as the attempt that got it is on its node [guess].
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import jwt

from local.azure.platform.store import Store

SECRETS = "batch.task-token-secret"
_ALGORITHM = "HS256"


@dataclass(frozen=True)
class TaskCaller:
    """The run of a task that asks; `job_id` in small letters."""

    job_id: str
    run_id: str


class TaskTokens:
    """Issues and reads the tokens of one account's tasks."""

    def __init__(self, store: Store, account: str, account_url: str) -> None:
        self._store = store
        self._account = account.lower()
        self._issuer = account_url
        kept = store.get(SECRETS, self._account)
        if kept is None:
            kept = {"secret": secrets.token_hex(32)}
            store.put(SECRETS, self._account, kept)
        self._secret = kept["secret"]

    def issue(self, job_id: str, run_id: str) -> str:
        """The token of a run: always the same one, so that a command to a node can be repeated."""
        claims = {"iss": self._issuer, "sub": job_id.lower(), "jti": run_id}
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def read(self, token: str) -> TaskCaller | None:
        """Whose token it is; None: it is none of these tokens."""
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=[_ALGORITHM], issuer=self._issuer, options={"require": ["sub", "jti"]}
            )
        except jwt.InvalidTokenError:
            return None
        return TaskCaller(claims["sub"], claims["jti"])

    def erase(self) -> None:
        """The account is deleted: no token of it is good any more."""
        self._store.delete(SECRETS, self._account)
