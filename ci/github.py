"""GitHub as a workflow's script sees it: the event that started it, the job's summary, one comment, one issue.

REST reference: https://docs.github.com/rest/issues (comments of a pull request are comments of its issue). The token is
the job's own GITHUB_TOKEN; it is sent in a header and never shown. A comment or an issue of ours is found by a marker
at its beginning and by its author, so that nobody else's text is edited and none of ours is there twice.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ci.program import PipelineError, data, words

TIMEOUT_SECONDS: Final = 30
RETRY_DELAYS_SECONDS: Final = (1.0, 4.0, 15.0)
PAGE: Final = 100
BOT: Final = "github-actions[bot]"
"""Who writes with a job's GITHUB_TOKEN."""


class GitHubError(PipelineError):
    """GitHub did not do what was asked."""


class ForkRefused(PipelineError):
    """The pull request comes from a fork, or from a trigger that runs a fork's code with our rights."""


class _Transient(Exception):
    """Worth another attempt."""


@dataclass(frozen=True)
class PullRequest:
    """The pull request that a workflow runs for; its head is in this repository."""

    number: int
    commit: str


def pull_request(environment: Mapping[str, str]) -> PullRequest:
    """The event's pull request. Raises `ForkRefused` for a fork's, `PipelineError` for another event."""
    event_name = environment.get("GITHUB_EVENT_NAME", "")
    if event_name == "pull_request_target":
        raise ForkRefused(
            "this workflow was started by pull_request_target",
            cause="it gives the rights of the main branch to code of anybody's fork",
            next_step="use `on: pull_request`",
        )
    if event_name != "pull_request":
        raise PipelineError(
            f"GITHUB_EVENT_NAME is {event_name!r}, not 'pull_request'",
            next_step="leave --comment out: there is no pull request to comment",
        )
    event = _event(environment)
    request = event.get("pull_request") or {}
    head = ((request.get("head") or {}).get("repo") or {}).get("full_name")
    repository = environment.get("GITHUB_REPOSITORY")
    if not head or not repository or str(head).lower() != repository.lower():
        raise ForkRefused(
            f"the pull request's branch is in {head or 'a repository that is gone'}, not in {repository}",
            cause="a fork's code gets no identity and no token that writes",
            next_step="read the change, then push it to a branch of this repository",
        )
    return PullRequest(int(request["number"]), str((request.get("head") or {}).get("sha", "")))


def _event(environment: Mapping[str, str]) -> dict[str, Any]:
    path = environment.get("GITHUB_EVENT_PATH", "")
    try:
        event = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise PipelineError(
            f"the event of this run cannot be read from GITHUB_EVENT_PATH={path!r}",
            cause=str(error),
            next_step="run this script in a GitHub workflow, or leave --comment out",
        ) from None
    return event if isinstance(event, dict) else {}


def write_summary(text: str, environment: Mapping[str, str]) -> None:
    """Add to the summary of this step; outside of a workflow, to stdout."""
    path = environment.get("GITHUB_STEP_SUMMARY")
    if not path:
        data(text)
        return
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write(f"{text}\n")


@dataclass(frozen=True)
class GitHub:
    """The REST API for one repository."""

    api: str
    repository: str
    token: str = field(repr=False)
    author: str = BOT
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> GitHub:
        """From a job's variables. Raises `PipelineError` if one is missing."""
        missing = [name for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN") if not environment.get(name)]
        if missing:
            raise PipelineError(
                f"{' and '.join(missing)} not set",
                next_step="give the step `env: GITHUB_TOKEN: ${{ github.token }}`",
            )
        return cls(
            environment.get("GITHUB_API_URL", "https://api.github.com"),
            environment["GITHUB_REPOSITORY"],
            environment["GITHUB_TOKEN"],
        )

    def comment(self, number: int, marker: str, text: str) -> str:
        """Make the pull request's comment say `text`: the one that is there is edited. What was done, in a word."""
        path = f"/issues/{number}"
        return self._one(lambda: self._pages(f"{path}/comments"), "/issues/comments", f"{path}/comments", marker, text)

    def issue(self, title: str, marker: str, text: str) -> str:
        """Make the open issue with this marker say `text`; it is opened if there is none. What was done, in a word."""
        return self._one(self._open_issues, "/issues", "/issues", marker, text, title=title)

    def close_issue(self, marker: str, text: str) -> str:
        """Close the open issue with this marker, with a last comment; nothing without one. What was done."""
        for issue in list(self._ours(self._open_issues(), marker)):
            self._call("POST", f"/issues/{issue['number']}/comments", {"body": text})
            self._call("PATCH", f"/issues/{issue['number']}", {"state": "closed", "state_reason": "completed"})
            return "closed"
        return "none is open"

    def _one(
        self, listed: Callable[[], Iterator[Any]], edited: str, created: str, marker: str, text: str, **more: str
    ) -> str:
        body = f"{marker}\n{text}"
        for delay in (*RETRY_DELAYS_SECONDS, None):
            # Looked up again before each attempt: a request whose answer was lost may have made it.
            found = next(self._ours(listed(), marker), None)
            try:
                if found is None:
                    self._call("POST", created, {"body": body, **more})
                    return "created"
                if found.get("body") == body and all(found.get(key) == value for key, value in more.items()):
                    return "unchanged"
                self._call(
                    "PATCH",
                    f"{edited}/{found['id' if edited.endswith('comments') else 'number']}",
                    {"body": body, **more},
                )
                return "edited"
            except _Transient as problem:
                if delay is None:
                    raise _gave_up(problem) from None
                self.sleep(delay)
        raise AssertionError("the last attempt returns or raises")

    def _ours(self, entries: Iterator[Any], marker: str) -> Iterator[Any]:
        for entry in entries:
            author = (entry.get("user") or {}).get("login")
            if author == self.author and str(entry.get("body") or "").startswith(marker):
                yield entry

    def _open_issues(self) -> Iterator[Any]:
        yield from (one for one in self._pages("/issues", state="open") if "pull_request" not in one)

    def _pages(self, path: str, **query: str) -> Iterator[Any]:
        page = 1
        while True:
            words = urllib.parse.urlencode({**query, "per_page": PAGE, "page": page})
            entries = self._patiently("GET", f"{path}?{words}")
            if not isinstance(entries, list):
                raise GitHubError(
                    f"GET {path} answered a {type(entries).__name__} instead of a list",
                    next_step=f"see that {self.api} is GitHub's API",
                )
            yield from entries
            if len(entries) < PAGE:
                return
            page += 1

    def _patiently(self, method: str, path: str) -> Any:
        """A request that may be repeated."""
        for delay in (*RETRY_DELAYS_SECONDS, None):
            try:
                return self._call(method, path)
            except _Transient as problem:
                if delay is None:
                    raise _gave_up(problem) from None
                self.sleep(delay)
        raise AssertionError("the last attempt returns or raises")

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310  the address is the workflow's own
            f"{self.api}/repos/{self.repository}{path}",
            None if body is None else json.dumps(body).encode(),
            {
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "azure-batch-platform-ci",
                "Content-Type": "application/json",
            },
            method=method,
        )
        what = f"{method} {urllib.parse.urlsplit(request.full_url).path}"
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = _message(error)
            if error.code >= 500 or error.code == 429 or (error.code == 403 and "rate limit" in text.lower()):
                raise _Transient(f"{what}: HTTP {error.code} {text}") from None
            raise GitHubError(
                f"GitHub refused {what}: HTTP {error.code} {text}", next_step=_next_step(error.code)
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise _Transient(f"{what}: {error}") from None
        except ValueError:
            raise GitHubError(
                f"the answer to {what} is not JSON", next_step=f"see that {self.api} is GitHub's API"
            ) from None


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(2000)).get("message", ""))
    except (ValueError, AttributeError, OSError):
        return ""


def _next_step(status: int) -> str:
    if status in (401, 403, 404):
        return "give the job `pull-requests: write` for comments or `issues: write` for issues"
    if status == 410:
        return "switch issues on in the repository's settings"
    return "read GitHub's message; docs/ci.md says what the scripts send"


def _gave_up(problem: Exception) -> GitHubError:
    return GitHubError(
        f"GitHub could not be reached: {problem} ({len(RETRY_DELAYS_SECONDS) + 1} attempts)",
        next_step="run the job again",
    )


def masked(value: str, environment: Mapping[str, str] | None = None) -> None:
    """Tell the runner to blot this value out of every log line from now on."""
    if (os.environ if environment is None else environment).get("GITHUB_ACTIONS") == "true":
        words(f"::add-mask::{value}")
