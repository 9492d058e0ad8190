"""`python -m tools.sbom [--image IMAGE] FILE`: what is in the worker image, as CycloneDX JSON.

The Python packages are those of `worker/requirements.txt`: the image installs them by hash and nothing else. With an
image there are its Debian packages, too, as its own `dpkg` has them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from packageurl import PackageURL

from tools.exits import Exit

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "worker" / "requirements.txt"
_COLUMNS: Final = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n"


def python_packages() -> dict[str, Any]:
    """The lock file as a CycloneDX document. Reproducible: no time, no serial number."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--of", "JSON", str(LOCK)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def debian_packages(image: str) -> list[dict[str, Any]]:
    """Components for what `dpkg` installed in an image of this machine's engine."""
    run = ["docker", "run", "--rm", "--network", "none", "--read-only", "--entrypoint", "dpkg-query", image]
    listed = subprocess.run([*run, "-W", f"-f={_COLUMNS}"], check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in listed.splitlines()]
    return [
        _component(name, version, architecture) for status, name, version, architecture in rows if status == "installed"
    ]


def _component(name: str, version: str, architecture: str) -> dict[str, Any]:
    purl = PackageURL("deb", "debian", name, version, {"arch": architecture}).to_string()
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.sbom", description="Write the worker image's SBOM.")
    parser.add_argument("--image", help="add the Debian packages of this image")
    parser.add_argument("file", type=Path)
    given = parser.parse_args(arguments)
    try:
        document = python_packages()
        if given.image:
            document["components"] += debian_packages(given.image)
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} ended with {error.returncode}: {error.stderr.strip()}", file=sys.stderr)
        return Exit.FAILED
    except FileNotFoundError as error:
        print(f"there is no {error.filename}: `make setup` installs what this needs", file=sys.stderr)
        return Exit.FAILED
    given.file.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{given.file}: {len(document['components'])} components")
    return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
