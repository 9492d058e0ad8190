"""`Pulumi.<stack>.yaml`: reading the stack's configuration, and setting a secret in it.

Values become what the SDK expects: text; nested objects as JSON; `secure:` values decrypted and marked. Offline (a
preview of a stack whose secrets we cannot read) a secret is a labelled placeholder from `local/offline/<stack>.yaml`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from local.engine.codec import Secret
from local.engine.errors import ConfigError, SecretsError
from local.engine.secrets import Crypter

# Everything Pulumi allows at the top of a stack file (workspace/project.json of pulumi 3.260).
STACK_KEYS: Final = {"config", "encryptionsalt", "encryptedkey", "secretsprovider", "environment"}
KEY: Final = re.compile(r"[^:\s]+:[^:\s]+")


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """A YAML file that must be a map."""
    try:
        body = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        place = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{what} {path}{place}: not YAML: {' '.join(str(problem).split())}.") from error
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise ConfigError(f"{what} {path} must be a map, got {type(body).__name__}.")
    return body


def read_stack_file(path: Path) -> dict[str, Any]:
    """The stack file, unknown keys refused."""
    body = read_yaml(path, "stack file")
    if unknown := sorted(map(str, body.keys() - STACK_KEYS)):
        raise ConfigError(f"{path.name}: unknown key {unknown[0]!r}; known are {', '.join(sorted(STACK_KEYS))}.")
    if body.get("environment"):
        raise ConfigError(f"{path.name}: environment (Pulumi ESC) is not supported by the local engine; remove it.")
    return body


def config_values(
    body: Mapping[str, Any], file: str, project: str, unseal: Callable[[str, str], str]
) -> dict[str, str | Secret]:
    """`project:key` -> text or Secret. `unseal(key, ciphertext)` gives a secret's text."""
    config = body.get("config") or {}
    if not isinstance(config, dict):
        raise ConfigError(f"{file}: config must be a map of keys to values, got {type(config).__name__}.")
    values: dict[str, str | Secret] = {}
    for given, value in config.items():
        key = full_key(str(given), project, file)
        if value is None:
            raise ConfigError(f"{file}: {key} has no value. Give it one, or remove the key.")
        values[key] = _config_value(key, value, file, unseal)
    return values


def full_key(key: str, project: str, file: str) -> str:
    """The key with its namespace: the project's, if it has none."""
    full = key if ":" in key else f"{project}:{key}"
    if not KEY.fullmatch(full):
        raise ConfigError(f"{file}: {key!r} is not a configuration key; expected <project>:<key>.")
    return full


def _config_value(key: str, value: Any, file: str, unseal: Callable[[str, str], str]) -> str | Secret:
    hidden = False

    def opened(item: Any) -> Any:
        nonlocal hidden
        if isinstance(item, dict):
            if set(item) == {"secure"}:
                if not isinstance(item["secure"], str):
                    raise ConfigError(f"{file}: {key}.secure must be text, got {type(item['secure']).__name__}.")
                hidden = True
                return unseal(key, item["secure"])
            return {str(name): opened(child) for name, child in item.items()}
        if isinstance(item, list):
            return [opened(child) for child in item]
        if item is None or isinstance(item, str | int | float | bool):
            return item
        raise ConfigError(f"{file}: {key} is a {type(item).__name__}, which has no JSON form. Put it in quotes.")

    content = opened(value)
    text = content if isinstance(content, str) else json.dumps(content)
    return Secret(text) if hidden else text


class Placeholders:
    """`local/offline/<stack>.yaml`: what stands in for secrets where they cannot be read."""

    def __init__(self, path: Path, project: str) -> None:
        self.path = path
        body = read_yaml(path, "offline file")
        secrets = body.get("secrets") or {}
        if not isinstance(secrets, dict):
            raise ConfigError(f"{path}: secrets must be a map of configuration keys to placeholders.")
        self._texts = {full_key(str(key), project, path.name): str(text) for key, text in secrets.items()}

    def unseal(self, key: str, _ciphertext: str) -> str:
        """The placeholder of a key."""
        if key not in self._texts:
            raise ConfigError(f"{self.path} has no placeholder for the secret {key}. Add it under `secrets`.")
        return self._texts[key]

    def absent(self, values: Mapping[str, Any]) -> dict[str, Secret]:
        """Placeholders of secrets that the stack file does not have yet."""
        return {key: Secret(text) for key, text in self._texts.items() if key not in values}


def set_secret(stack_file: Path, key: str, value: str, passphrase: str) -> None:
    """As `pulumi config set --secret`: encrypt and store; the first secret creates `encryptionsalt`.

    The file is rewritten as YAML, so comments in it are lost: meant for generated files. `key` has its namespace.
    """
    if not KEY.fullmatch(key):
        raise ConfigError(f"{key!r} is not a configuration key; expected <project>:<key>.")
    body = read_stack_file(stack_file) if stack_file.exists() else {}
    crypter = Crypter(passphrase, body.get("encryptionsalt"))
    config = body.setdefault("config", {}) or {}
    old = config.get(key)
    if isinstance(old, dict) and set(old) == {"secure"} and _same(crypter, old["secure"], value):
        return
    config[key] = {"secure": crypter.encrypt(value)}
    ordered = {"encryptionsalt": crypter.state, **body, "config": config}
    ordered["encryptionsalt"] = crypter.state
    temporary = stack_file.with_suffix(".yaml.new")
    temporary.touch(mode=0o600)
    temporary.write_text(yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True))
    temporary.replace(stack_file)


def _same(crypter: Crypter, sealed: str, value: str) -> bool:
    try:
        return crypter.decrypt(sealed) == value
    except SecretsError:
        return False
