"""`python tools/pins.py`: all that is fetched from elsewhere is named by what it holds, not by a name that moves.

Packages by version and hash, actions by commit, base images by digest. What is not must stand in a table here, with the
reason. Looks at the tree of the present folder; imports nothing of this project.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "actions/checkout": ("08c6903cd8c0fde910a37f88322edcfb5dd907a8", "v5.0.0"),
    "actions/setup-python": ("a26af69be951a213d495a4c3e4e4022e16d87065", "v5.6.0"),
    "actions/upload-artifact": ("ea165f8d65b6e75b540449e92b4886f43607fa02", "v4.6.2"),
    "azure/login": ("a457da9ea143d694b1b9c7c869ebb04ebe844ef5", "v2.3.0"),
    "pulumi/actions": ("8e5e406f4007fca908480587cb9893c07090f58d", "v7.0.0"),
}
"""Action -> commit and the version that it is. The only place to change one; the workflows must agree."""

IMAGES_BY_TAG: Final[Mapping[str, str]] = {
    "node:20-bookworm": "the test container of ci.yml; no registry could be asked for its digest",
}
"""Images by tag -> why."""

_USES: Final = re.compile(r"^\s*(?:-\s+)?uses:\s*(?P<action>[^\s@#]+)(?:@(?P<commit>\S+))?\s*(?:#\s*(?P<version>\S+))?")
_IMAGE: Final = re.compile(r"^\s*image:\s*(?P<image>[^\s#]+)")
_FROM: Final = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.IGNORECASE)
_REQUIREMENT: Final = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*(?:\[[\w,.-]+\])?)(?P<rest>.*)$")


def requirements(text: str) -> Iterator[str]:
    """What is wrong with a lock file: a package without its version, or without a hash."""
    logical = re.sub(r"\\\n", " ", text)
    for line in logical.splitlines():
        line = line.split(" #")[0].strip()
        if not line or line.startswith(("#", "-")):
            continue
        found = _REQUIREMENT.match(line)
        name = found["name"] if found else line
        if not found or not re.match(r"==[^\s;*]+(\s|;|$)", found["rest"]):
            yield f"{name} is not pinned to one version; compile the lock again (make lock)"
        elif "--hash=sha256:" not in found["rest"]:
            yield f"{name} has no hash; compile the lock again (make lock)"


def workflow(text: str) -> Iterator[str]:
    """What is wrong with a workflow or a composite action."""
    for line in text.splitlines():
        if (found := _USES.match(line)) and not found["action"].startswith("./"):
            known = ACTIONS.get(found["action"])
            if known is None:
                yield f"{found['action']} is in no table; add it to ACTIONS in tools/pins.py"
            elif (found["commit"], found["version"]) != known:
                shown = f"{found['commit']}  # {found['version']}"
                yield f"{found['action']} is {shown}; the table has {known[0]}  # {known[1]}"
        if (found := _IMAGE.match(line)) and "@sha256:" not in found["image"] and found["image"] not in IMAGES_BY_TAG:
            yield f"image {found['image']} is not named by digest; name it so, or say why in IMAGES_BY_TAG"


def dockerfile(text: str) -> Iterator[str]:
    """What is wrong with a Dockerfile: a base by tag. A base that is an argument is pinned by whoever builds."""
    stages = set[str]()
    for line in text.splitlines():
        if found := _FROM.match(line):
            image = found["image"]
            if not (image.startswith("$") or image in stages or image == "scratch" or "@sha256:" in image):
                yield f"base image {image} is not named by digest; name it so, or make it an argument"
            if found["stage"]:
                stages.add(found["stage"])


CHECKS: Final = (
    ("*requirements*.txt", requirements),
    (".github/**/*.yml", workflow),
    ("*Dockerfile", dockerfile),
)
"""Pattern of git's -> what looks at such a file."""


def problems() -> Iterator[str]:
    """All that is wrong in the tree of the present folder."""
    for pattern, check in CHECKS:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "--", pattern], check=True, capture_output=True, text=True
        ).stdout
        for name in sorted(set(listed.splitlines())):
            file = Path(name)
            if file.is_file():
                yield from (f"{name}: {problem}" for problem in check(file.read_text()))


def main() -> int:
    found = list(problems())
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
