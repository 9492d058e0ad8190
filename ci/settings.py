"""Which image a stack runs, where promotion decides it and not the stack's file.

`python -m ci.promote` gives a stack the digest that proved itself in the one before. The pipeline does not commit it,
so the file in the main branch may name an older one. A preview or a drift check of that file would show a change that
nobody made: with `deployed_image` they take the image that is deployed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from ci import pulumi

KEY: Final = "azure-batch-platform:worker"
OUTPUT: Final = "worker_image"


def names_an_image(settings: Mapping[str, Any]) -> bool:
    """Whether a stack's file takes an image that exists instead of building one."""
    worker = (settings.get("config") or {}).get(KEY)
    return isinstance(worker, Mapping) and bool(worker.get("image"))


def deployed_image(stack: str, environment: Mapping[str, str]) -> str | None:
    """Write the image that is deployed into the stack's file of this checkout; what was written, None if nothing.

    Raises `PipelineError` if the stack takes an image and its outputs cannot be read.
    """
    file = pulumi.ROOT / f"Pulumi.{pulumi.check_name(stack)}.yaml"
    settings: dict[str, Any] = yaml.safe_load(file.read_text()) if file.exists() else {}
    if not names_an_image(settings or {}):
        return None
    image = pulumi.outputs(stack, environment).get(OUTPUT)
    if not image:
        return None
    settings["config"][KEY] = {**settings["config"][KEY], "image": image}
    file.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    return str(image)
