"""The engine by itself: `python -m local.engine VERB -C FOLDER -s STACK`. `python -m local` wires it to a cloud."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from local.engine import commands, reading
from local.engine.errors import EngineError
from local.engine.outcome import Options
from local.engine.project import Project, set_secret
from local.engine.stack_file import full_key, read_yaml

READING = ("outputs", "export")
VERBS = ("preview", "up", "refresh", "destroy", "outputs", "export", "recover", "encrypt")


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    args = argparse.ArgumentParser(prog="python -m local.engine", description=__doc__)
    args.add_argument("verb", choices=VERBS)
    args.add_argument("key", nargs="?", help="encrypt: the configuration key to set; its value is read from stdin")
    args.add_argument("-C", "--cwd", type=Path, default=Path(), help="the folder of Pulumi.yaml")
    args.add_argument("-s", "--stack", default="local")
    args.add_argument("-p", "--parallel", type=int, default=16)
    args.add_argument("--offline", type=Path)
    args.add_argument("--json", action="store_true")
    args.add_argument("--preview-only", action="store_true")
    args.add_argument("--expect-no-changes", action="store_true")
    args.add_argument("--show-secrets", action="store_true")
    args.add_argument("--clear", action="store_true", help="recover: forget interrupted creations")
    args.add_argument("--import", dest="imports", action="append", default=[], metavar="URN=ID")
    return args


def main(argv: list[str] | None = None) -> int:
    """Run one verb; the result is the exit code."""
    args = parser().parse_args(argv)
    project_file, stack_file = args.cwd / "Pulumi.yaml", args.cwd / f"Pulumi.{args.stack}.yaml"
    passphrase = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    try:
        if args.verb == "encrypt":
            key = full_key(args.key or "", read_yaml(project_file, "project file")["name"], stack_file.name)
            set_secret(stack_file, key, sys.stdin.read().rstrip("\n"), passphrase or "")
            return 0
        project = Project.load(
            project_file, stack_file, args.cwd, passphrase=passphrase, environment={}, offline=args.offline
        )
        options = Options(
            parallel=args.parallel,
            json=args.json,
            preview_only=args.preview_only,
            expect_no_changes=args.expect_no_changes,
            show_secrets=args.show_secrets,
        )
        if args.verb == "recover":
            imports = dict(item.rsplit("=", 1) for item in args.imports)
            return commands.recover(project, options, imports=imports, clear=args.clear).exit_code
        verbs = reading if args.verb in READING else commands
        return getattr(verbs, args.verb)(project, options).exit_code
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
