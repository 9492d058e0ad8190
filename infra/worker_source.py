"""What the worker's source says of itself, for the labels of its image, and the copy that the image is built from.

The revision is git's id of the *tree* `worker/docker_worker`, not of a commit. A commit's id would make every commit,
also one of a document, another image: a new digest, and for pools that fetch the image at boot a new pool. The tree's
id changes exactly when the package does, is the same in every checkout (and without git), and leads back to commits:

    git rev-parse COMMIT:worker/docker_worker

So it is made of what git would track: no file that `.gitignore` names, no empty folder, a link as a link. In a checkout
git itself lists the files; elsewhere (a source archive) `UNTRACKED` says what is left out.

The copy: pulumi-docker hashes the modes of a context's files, and a checkout's modes depend on the umask of whoever made
it. Two people's previews would differ, and each `up` would build again. In the copy a mode is one of git's two.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

PACKAGE: Final = "docker_worker"
UNTRACKED: Final = ("__pycache__", "*.py[cod]", ".DS_Store", ".#*", "*~", ".*.sw?", "#*#")
"""What the tools around a source tree leave in it. The build's `.dockerignore` has the same list (a test compares)."""

_VERSION: Final = re.compile(r'^VERSION = "([^"]+)"$', re.MULTILINE)
_NOT_A_CHECKOUT: Final = 128  # git's exit code where there is no repository


def version(context: Path) -> str:
    """The package's own version. Read, not imported: the program needs none of the worker's packages."""
    file = context / PACKAGE / "__init__.py"
    if found := _VERSION.search(file.read_text()):
        return found[1]
    raise ValueError(f'{file} has no line VERSION = "..."; the image\'s version is taken from it')
