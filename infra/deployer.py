"""Who deploys, and to which subscription and tenant: asked while the program imports what it will need.

The provider answers only after its own start, a quarter of a second in which the program would wait. The SDK imports a
namespace of Azure (`batch`, `storage`, ...) when it is first used, which takes as long for all of them; so they are
imported in that time. Measured by `python -m benchmarks.preview`: a tenth of a preview.
"""

from __future__ import annotations

import contextvars
import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pulumi
from pulumi_azure_native import authorization
from pulumi_azure_native.authorization import GetClientConfigResult

from infra import start_task
from infra.pools.pool import password_fingerprints
from infra.settings.stack import Settings

NAMESPACES: Final = ("batch", "containerregistry", "managedidentity", "resources", "storage")
"""Of azure-native, which every stack uses. Importing `network`, `monitor` and `consumption` is left to stacks that have
private endpoints, monitoring or a budget."""


class DeployerUnknown(pulumi.RunError):
    """Azure does not say who deploys. A RunError: Pulumi shows the sentence and no traceback."""

    def __init__(self, answer: str) -> None:
        super().__init__(
            f"Azure does not say who deploys: {answer}\n"
            "  cause: nobody is signed in, the sign-in has ended, or its service cannot be reached\n"
            "  next:  sign in (`az login`, or the pipeline's federated sign-in), then run the same command again"
        )


def get_deployer(settings: Settings) -> GetClientConfigResult:
    """The identity that runs the program, and its subscription and tenant.

    Raises `DeployerUnknown` with what the provider answers instead.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        # The SDK keeps the program's project and stack in context variables, which a thread does not have by itself.
        # Azure is asked here and not there: the stack itself is registered meanwhile, by this thread's event loop.
        prepared = thread.submit(contextvars.copy_context().run, _prepare, settings)
        try:
            deployer = authorization.get_client_config()
        except Exception as error:  # the SDK's invoke raises nothing more special
            raise DeployerUnknown(str(error)) from error
        prepared.result()
    return deployer


def _prepare(settings: Settings) -> None:
    """Do what needs no answer of the provider, and is kept: imports, checked start steps, passwords' fingerprints."""
    for namespace in NAMESPACES:
        module = importlib.import_module(f"pulumi_azure_native.{namespace}")
        # What is imported so is a lazy module of the SDK: asking it for any name loads it.
        getattr(module, "__all__", None)
    if settings.worker.image is None:
        importlib.import_module("pulumi_docker")
    start_task.platform_steps()
    password_fingerprints(settings)
