"""Stack config as data: every key of this project's namespace, sections parsed, secrets demanded to be secret.

`pulumi.Config` answers for one key at a time and cannot list, so unknown keys would pass unseen. The SDK keeps the
whole config in `pulumi.runtime.config` (set by hand or from the language host's environment), which is listed here.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from infra.settings.problems import Problem, alternatives

OTHERS: Final = ("azure-native", "docker", "pulumi")
"""Namespaces that others read, for which a key may be called as one of ours."""


def read_config(config: pulumi.Config, model: type[BaseModel]) -> tuple[dict[str, Any], list[Problem]]:
    """The values under `config`'s name, and what is wrong with their form."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    listed = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    keys = {key.removeprefix(f"{config.name}:") for key in listed if key.startswith(f"{config.name}:")}
    keys |= {key for key in fields if config.get(key) is not None}
    values: dict[str, Any] = {}
    problems = [
        Problem(key, f"{config.name}:{name}", f"another namespace, {namespace}, which nobody reads", f"write {name}")
        for key in sorted(listed)
        for namespace, _, name in [key.partition(":")]
        if name in fields and namespace not in (config.name, *OTHERS)
    ]
    for key in sorted(keys):
        text = config.get(key)
        if key in fields and _is_secret(fields[key]):
            values[key] = text
            if not _is_encrypted(config.full_key(key)):
                problems.append(
                    Problem(key, "an encrypted value", "one in clear text", f"pulumi config set --secret {key}")
                )
        else:
            values[key] = _data(text)
    return values, problems


def _data(text: str | None) -> Any:
    """Sections and lists arrive as JSON; anything else is the text that stands in the file."""
    if text is not None and text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in alternatives(field.annotation)


def _is_encrypted(full_key: str) -> bool:
    return runtime_config.is_config_secret(full_key) or full_key in runtime_config.get_config_secret_keys_env()
