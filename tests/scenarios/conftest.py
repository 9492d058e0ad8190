"""Two checkouts serve all scenarios: the main job has one of its own, everything else shares the other.

The shared one is first deployed by `deployed/test_interrupted_up.py`, where it runs; what a scenario changes of it, it
sets right again. Both are destroyed and stopped at the end, whatever happened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.figures import FIGURES
from tests.scenarios.checkout import Checkout
from tests.scenarios.places import Place, Subscription

FIRST = "test_interrupted_up.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the scenarios the story of the interrupted deployment comes first: it begins before anything is deployed."""
    story = [item for item in items if item.path.name == FIRST]
    others = [item for item in items if item.path.name != FIRST]
    place = next((place for place, item in enumerate(others) if "scenarios" in item.path.parts), len(others))
    items[:] = [*others[:place], *story, *others[place:]]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    place = Checkout(tmp_path_factory.mktemp("clone"))
    yield place
    place.run(str(place.python), "-m", "local", "reset", "--yes")


@pytest.fixture(scope="session")
def deployed(checkout: Checkout) -> Checkout:
    """`make up` without its set-up, which the machine has had already."""
    checkout.module("local", "tour")
    return checkout


@pytest.fixture(
    scope="module",
    params=[pytest.param("local", marks=pytest.mark.docker), pytest.param("azure", marks=pytest.mark.azure)],
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The local Azure, then a subscription if one is named."""
    if request.param == "azure" and not os.environ.get("AZURE_STACK"):
        pytest.skip("no subscription: AZURE_STACK names no stack (docs/first-real-run.md)")
    made = (Subscription if request.param == "azure" else Place)(tmp_path_factory.mktemp(request.param))
    yield made
    FIGURES.extend(f"{made.name:6} {name:50} {seconds:6.1f} s" for name, seconds in made.seconds.items())
    made.clean_up()


@pytest.fixture(scope="module")
def local(place: Place) -> Place:
    """For steps that only this machine can show."""
    if place.name != "local":
        pytest.skip("looks into this machine: nodes and processes of a subscription are elsewhere")
    return place


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[object]) -> None:
    """Remember a failed step of a story."""
    if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
        getattr(item.module, "failed_steps", []).append(item.name)  # pyright: ignore[reportAttributeAccessIssue]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Steps after a failed one say so instead of failing, too."""
    if failed := getattr(item.module, "failed_steps", []):  # pyright: ignore[reportAttributeAccessIssue]
        pytest.skip(f"an earlier step of the story failed: {failed[0]}")
