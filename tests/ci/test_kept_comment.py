"""The comment beside its picture shows what the rehearsal demands of it."""

from __future__ import annotations

import re

import pytest

from ci.plans import comment
from tests.ci import kept_comment
from tests.ci.pictures import html

TEXT = kept_comment.FILE.read_text()


@pytest.mark.parametrize("words", kept_comment.MUST_SHOW)
def test_the_picture_shows_what_a_reviewer_must_see(words: str) -> None:
    assert words in TEXT


def test_it_holds_nothing_of_the_machine_on_which_it_was_made() -> None:
    assert not re.search(r"127\.0\.0\.1|/tmp/|/root/|localhost", TEXT)


def test_it_begins_as_comments_do() -> None:
    assert TEXT.splitlines()[0] == comment.pull_request([]).splitlines()[0]


def test_alerts_are_shown_as_github_shows_them() -> None:
    page = html(TEXT)
    assert '<blockquote class="CAUTION"><p>Caution</p>' in page and "[!" not in page
