"""The engine's verbs that only read the state: outputs, export. No plugin is started and no cloud is reached."""

from __future__ import annotations

import json

from local.engine.codec import scrub
from local.engine.outcome import OK, Options, Outcome
from local.engine.project import Project, stack_outputs


def outputs(project: Project, options: Options | None = None) -> Outcome:
    """The stack's outputs as they were left by the last `up`."""
    project.refuse_offline()
    options = options or Options()
    found = stack_outputs(project.snapshot())
    shown = scrub(found, options.show_secrets)
    if options.json:
        print(json.dumps(shown, indent=2), file=options.out)
    elif not found:
        print(f"stack {project.stack} has no outputs", file=options.err)
    else:
        width = max(map(len, shown))
        for key, value in sorted(shown.items()):
            text = value if isinstance(value, str) else json.dumps(value)
            print(f"{key:{width}}  {text}", file=options.out)
    return Outcome(OK, {}, shown)


def export(project: Project, options: Options | None = None) -> Outcome:
    """The state as `pulumi stack export` has it; secrets stay encrypted."""
    project.refuse_offline()
    options = options or Options()
    body = {"version": 3, "deployment": project.snapshot().deployment()}
    print(json.dumps(body, indent=4), file=options.out)
    return Outcome(OK, body)
