"""Pulumi's passphrase secrets provider: salt `v1:<salt>:v1:<nonce>:<ciphertext>`, secrets `v1:<nonce>:<ciphertext>`.

The key is PBKDF2-SHA256 of the passphrase (1,000,000 iterations), the cipher AES-256-GCM; the salt's tail is the word
`pulumi` encrypted, so that a wrong passphrase is noticed (facts/pulumi.md section 0, point 20).
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from local.engine.errors import SecretsError

ITERATIONS: Final = 1_000_000  # about 0.5 s: once per salt and process
CHECK_WORD: Final = "pulumi"


class Crypter:
    """Encrypts and decrypts under one passphrase and one salt."""

    def __init__(self, passphrase: str, state: str | None = None) -> None:
        salt = _salt(state) if state else os.urandom(8)
        self._cipher = AESGCM(_key(passphrase, salt))
        self.state = state or f"v1:{_text(salt)}:{self.encrypt(CHECK_WORD)}"
        if state and self._open(state.split(":", 2)[2]) != CHECK_WORD:
            raise SecretsError(
                "incorrect passphrase: it does not open this stack's secrets. Give the one they were made with "
                "(PULUMI_CONFIG_PASSPHRASE, or the file `passphrase` of the local stack)."
            )

    def encrypt(self, text: str) -> str:
        """One secret; the same text gives other bytes each time."""
        nonce = os.urandom(12)
        return f"v1:{_text(nonce)}:{_text(self._cipher.encrypt(nonce, text.encode(), None))}"

    def decrypt(self, sealed: str, what: str = "a secret of the stack") -> str:
        """The text of one secret; `what` names it in the error."""
        text = self._open(sealed)
        if text is None:
            raise SecretsError(
                f"{what} cannot be decrypted: it is damaged, or was encrypted under another passphrase or salt. "
                "Set it again as a secret."
            )
        return text

    def _open(self, sealed: str) -> str | None:
        try:
            version, nonce, data = sealed.split(":")
            if version != "v1":
                return None
            return self._cipher.decrypt(base64.b64decode(nonce), base64.b64decode(data), None).decode()
        except (ValueError, InvalidTag):  # binascii.Error is a ValueError
            return None


@functools.lru_cache(maxsize=8)
def _key(passphrase: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ITERATIONS, 32)


def _salt(state: str) -> bytes:
    try:
        version, salt, _check = state.split(":", 2)
        if version == "v1":
            return base64.b64decode(salt, validate=True)
    except (ValueError, binascii.Error):
        pass
    raise SecretsError(
        f"encryptionsalt is {state[:12]!r}..., expected v1:<salt>:v1:<nonce>:<ciphertext>. "
        "Remove it together with the secrets made under it, and set these again."
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
