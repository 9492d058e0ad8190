"""docs/settings.md is what the settings' classes say, and its examples are settings that load."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from infra.settings.stack import Settings
from infra.settings_reference import EXAMPLES, expectation, page, sections
from tests.infra.recording import ROOT, run_program, stack_config

EVERY = dict(sections(Settings, ""))


def test_the_page_is_the_present_one() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == page(), (
        "python -m infra.settings_reference > docs/settings.md"
    )


def test_every_setting_says_itself_what_it_must_be() -> None:
    """Else a mistake would be reported as one of the section around it."""
    keys = [(model, field.alias or name) for model in EVERY for name, field in model.model_fields.items()]
    assert len(keys) > 60
    assert all(expectation(model, key).form and expectation(model, key).fix for model, key in keys)


def test_every_section_has_an_example() -> None:
    assert set(EXAMPLES) == set(EVERY)


def value_at(example: Any, place: str) -> Any:
    """The section in its example, which begins with the last name of its place, or further up."""
    for part in place.split("."):
        if part == "NAME":
            example = next(iter(example.values()))
        elif isinstance(example, dict) and part.removesuffix("[]") in example:
            example = example[part.removesuffix("[]")]
        if part.endswith("[]"):
            example = example[0]
    return example


@pytest.mark.parametrize(
    "model", [model for model in EXAMPLES if model is not Settings], ids=lambda model: model.__name__
)
def test_an_example_is_a_valid_section(model: type[BaseModel]) -> None:
    part = value_at(yaml.safe_load(EXAMPLES[model]), EVERY[model])
    assert TypeAdapter(model).validate_python(part)


def test_the_first_levels_example_is_a_stack() -> None:
    config = stack_config("dev") | yaml.safe_load(EXAMPLES[Settings])
    assert run_program("dev", config=config, preview=True).of_type("batch:Pool")


def test_the_page_names_every_key() -> None:
    text = page()
    for model in EVERY:
        for name, field in model.model_fields.items():
            assert f"| `{field.alias or name}` |" in text
