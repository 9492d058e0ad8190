"""Which plain strings look like secrets: by the name of their property, by a known form, or by looking random.

Errs on the side of refusing: whoever marks the value as secret (`pulumi.Output.secret`) has satisfied the rule.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import Final

FORMS: Final = (
    ("a private key in PEM form", re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")),
    ("a token in JWT form", re.compile(r"\beyJ[\w-]{6,}\.eyJ[\w-]{6,}\.[\w-]*")),
    ("a shared access signature (sig=)", re.compile(r"(?:^|[?&;])sig=[\w%+/=-]{16,}", re.IGNORECASE)),
    (
        "a connection string with a key or password",
        re.compile(r"(?:^|;)\s*(?:AccountKey|SharedAccessKey|SharedAccessSignature|Password|Pwd)\s*=\s*[^;\s]", re.I),
    ),
    ("an account key (64 bytes in base64)", re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==")),
    ("a container registry password", re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{42}\+ACR[A-Za-z0-9]{6}\b")),
    ("a client secret of an Entra application", re.compile(r"(?<![\w~.-])[\w~.-]{3}[78]Q~[\w~.-]{31,34}(?![\w~.-])")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{30,})")),
    ("an address with a password in it", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@$]+@", re.IGNORECASE)),
    (
        "a secret that is assigned in clear text",
        re.compile(
            r"\b\w*(?:password|passwd|secret|token|api_?key|access_?key|account_?key)\w*"
            r"(?:=|\s*:\s+|(?<=-password)\s+)[\"']?(?![\"'$<{\[])[^\s\"';&|]{6,}",
            re.IGNORECASE,
        ),
    ),
)
"""What a string holds -> how it is recognised. Forms of Azure's own secrets first. Shell variables are no secrets."""

_SECRET_NAME: Final = re.compile(
    r"(?:password|passwd|pwd|passphrase|secret|token|accesskey|accountkey|sharedkey|apikey|privatekey|storagekey"
    r"|connectionstring|sas|sasurl|credential)s?[0-9]*$"
)
_RANDOM_LENGTH: Final = 20
_RANDOM_BITS: Final = 3.5
_RANDOM_CHANGES: Final = 0.4
"""Of random letters and digits two thirds are followed by a character of another class; of names, a quarter."""


def secret_name(name: str) -> bool:
    """Whether a property or variable of this name holds a secret: adminPassword, SQL_PASSWORD, sasToken."""
    return _SECRET_NAME.search(re.sub(r"[^a-z0-9]", "", name.lower())) is not None


def known_form(text: str) -> str | None:
    """What secret the text holds by its form; None if it has no known form."""
    return next((form for form, pattern in FORMS if pattern.search(text)), None)


def looks_random(text: str) -> bool:
    """Whether a word of the text looks generated: long, of mixed case with digits, without the order that names have.

    Digests and GUIDs have one case and are public; they are not meant.
    """
    return any(_is_random(word) for word in re.findall(rf"[A-Za-z0-9+=_~-]{{{_RANDOM_LENGTH},}}", text))


def _is_random(word: str) -> bool:
    classes = [("a" if letter.islower() else "A" if letter.isupper() else "0") for letter in word]
    if len(set(classes)) < 3 or not any(letter.isdigit() for letter in word):
        return False
    changes = sum(one != other for one, other in itertools.pairwise(classes))
    counts = Counter(word).values()
    bits = -sum(count / len(word) * math.log2(count / len(word)) for count in counts)
    return changes / len(word) >= _RANDOM_CHANGES and bits >= _RANDOM_BITS
