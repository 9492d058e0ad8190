"""The passphrase secrets provider, in Pulumi's format."""

import base64
import re

import pytest

from local.engine.errors import SecretsError
from local.engine.secrets import Crypter


def test_a_secret_opens_with_the_same_passphrase_and_salt_only():
    first = Crypter("pw")
    sealed = first.encrypt("hush")
    assert sealed != first.encrypt("hush") and Crypter("pw", first.state).decrypt(sealed) == "hush"
    with pytest.raises(SecretsError, match="incorrect passphrase"):
        Crypter("other", first.state)


def test_the_format_is_pulumis():
    crypter = Crypter("pw")
    assert re.fullmatch(r"v1:[^:]+:v1:[^:]+:[^:]+", crypter.state)
    version, nonce, _ = crypter.encrypt("x").split(":")
    assert version == "v1" and len(base64.b64decode(nonce)) == 12
    assert len(base64.b64decode(crypter.state.split(":")[1])) == 8


@pytest.mark.parametrize("sealed", ["", "v1:a", "v2:AAAA:AAAA", "v1:AAAAAAAAAAAAAAAA:AAAA", "v1:!:!"])
def test_damaged_secrets_are_named(sealed):
    with pytest.raises(SecretsError, match="the password cannot be decrypted"):
        Crypter("pw").decrypt(sealed, "the password")


def test_a_damaged_salt_is_named():
    with pytest.raises(SecretsError, match="encryptionsalt is 'nonsense'"):
        Crypter("pw", "nonsense")
