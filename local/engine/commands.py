"""The engine's verbs that run something: preview, up, refresh, destroy, recover; `reading.py` has the others.

Each takes a Project and gives an Outcome.

What is wrong before a run starts (files, passphrase, lock) is raised as `UsageError`; what goes wrong during a run is
shown and ends in an exit code. Words go to `Options.out`; with `json` the digest alone goes there and words to
`Options.err`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from local.engine.codec import scrub
from local.engine.deletion import Deletion
from local.engine.digest import changed, counts, digest
from local.engine.display import Display
from local.engine.errors import EngineBug, EngineError, Stopped, UsageError
from local.engine.execute import Executor
from local.engine.goal import Diagnostic
from local.engine.interrupt import interruptible
from local.engine.monitor import Monitor, serving
from local.engine.outcome import CANCELLED, FAILED, OK, UNEXPECTED_CHANGES, Options, Outcome
from local.engine.program_process import REPORTED, ProgramProcess, config_settings
from local.engine.project import Project, stack_outputs
from local.engine.providers import Providers, program_environment
from local.engine.recovery import Recovery
from local.engine.refresh import Refresh
from local.engine.session import Session
from local.engine.snapshot import Snapshot


class _Run:
    """The parts of one run, wired."""

    def __init__(self, project: Project, snapshot: Snapshot, preview: bool, parallel: int, display: Display) -> None:
        self.project, self.snapshot = project, snapshot
        snapshot.readonly = preview
        self.old_outputs = stack_outputs(snapshot)
        self.session = Session(snapshot, preview=preview, parallel=parallel, observer=display)
        self.environment = program_environment(project.environment)
        self.providers = Providers(snapshot, project.plugin_dirs, project.config, project.main, self.environment)
        self.recovery = Recovery(self.session, self.providers)
        self.deletion = Deletion(self.session, self.providers, self.recovery)
        self.executor = Executor(self.session, self.providers, self.recovery, self.deletion)
        self.program: ProgramProcess | None = None

    def deploy(self) -> None:
        """Run the program to its end, then delete what it no longer names."""
        self.program = ProgramProcess(self.project.main, self.environment)
        self.providers.prestart()
        settings = {
            "project": self.project.name,
            "stack": self.project.stack,
            "root": str(self.project.root),
            "main": str(self.project.main),
            "monitor": self.providers.engine_address,
            "parallel": self.session.parallel,
            "preview": self.session.preview,
            **config_settings(self.project.config),
        }
        code = self.program.run(settings, lambda line: self.session.note("info", "", line))
        self.session.wait_idle()
        if code and code != REPORTED and not self.session.stop_reason:
            self.session.note("error", "", f"the program exited with code {code}")
        elif code and not self.session.stop_reason:
            self.session.note("error", "", "the program failed without saying why")
        self.session.check_running()
        self.executor.settle_stack_outputs()
        self.deletion.unseen()

    def refresh(self) -> None:
        """Read everything again."""
        Refresh(self.session, self.providers).run()

    def destroy(self) -> None:
        """Take everything away."""
        self.deletion.everything()

    def kill(self) -> None:
        """End all children at once."""
        if self.program:
            self.program.kill()
        self.providers.kill()

    def cancel(self) -> None:
        """Nothing new starts; plugins are asked to give up."""
        self.session.stop("cancelled")
        self.providers.cancel()

    def perform(self, work: Callable[[_Run], None]) -> None:
        """The work between starting to listen and having stopped every child."""
        monitor = Monitor(self.session, self.executor, self.providers, self.project.other_stack_outputs)
        with serving(monitor) as self.providers.engine_address, self.providers:
            try:
                self.recovery.announce()
                work(self)
            except Stopped:
                pass
            except EngineBug as error:
                self.session.note("error", "", f"engine bug: {error}")
            except EngineError as error:
                self.session.note("error", "", str(error))
            finally:
                if self.session.stop_reason and self.program:
                    self.program.kill()
                self.session.wait_idle()


def _run(project: Project, options: Options, title: str, work: Callable[[_Run], None], *, preview: bool) -> Outcome:
    if not (preview and work is _Run.deploy):
        project.refuse_offline()
    started = time.monotonic()
    words = options.err if options.json else options.out
    snapshot = project.snapshot()
    with snapshot.exclusive(), Display(words, preview=preview) as display:
        snapshot = project.snapshot()  # again: another engine may have written until we had the lock
        display.title(f"{title} ({project.stack}):")
        run = _Run(project, snapshot, preview, options.parallel, display)
        with interruptible(run.cancel, run.kill, options.err):
            run.perform(work)
        return _outcome(run, options, display, time.monotonic() - started)


def _outcome(run: _Run, options: Options, display: Display, seconds: float) -> Outcome:
    session = run.session
    errors: list[Diagnostic] = [d for d in session.diagnostics if d.severity == "error"]
    summary = counts(session.steps)
    body = digest(run.project.config, list(session.news.values()), session.steps, session.diagnostics)
    body["duration"] = int(seconds * 1e9)
    outputs = stack_outputs(run.snapshot)
    shown = (run.old_outputs, outputs) if not session.stop_reason else None
    display.finish(summary, shown, errors, seconds, options.show_secrets)
    if options.json:
        print(json.dumps(body, indent=2), file=options.out, flush=True)
    code = OK if not session.stop_reason else CANCELLED if session.stop_reason == "cancelled" else FAILED
    if code == OK and options.expect_no_changes and changed(summary):
        print("error: no changes were expected but changes were found", file=options.err, flush=True)
        code = UNEXPECTED_CHANGES
    return Outcome(code, body, scrub(outputs, options.show_secrets))


def preview(project: Project, options: Options | None = None) -> Outcome:
    """Say what `up` would do."""
    return _run(project, options or Options(), "Previewing update", _Run.deploy, preview=True)


def up(project: Project, options: Options | None = None) -> Outcome:
    """Make the cloud as the program says."""
    return _run(project, options or Options(), "Updating", _Run.deploy, preview=False)


def refresh(project: Project, options: Options | None = None) -> Outcome:
    """Make the state as the cloud is."""
    options = options or Options()
    return _run(project, options, "Refreshing", _Run.refresh, preview=options.preview_only)


def destroy(project: Project, options: Options | None = None) -> Outcome:
    """Take everything away, dependents first."""
    options = options or Options()
    return _run(project, options, "Destroying", _Run.destroy, preview=options.preview_only)


def recover(
    project: Project, options: Options | None = None, *, imports: Mapping[str, str] | None = None, clear: bool = False
) -> Outcome:
    """By hand what `up` does by itself: adopt interrupted creations (`imports`: URN -> id), or forget them."""
    project.refuse_offline()
    options = options or Options()
    ids = dict(imports or {})
    with project.snapshot().exclusive(), Display(options.out, preview=False) as display:
        run = _Run(project, project.snapshot(), False, options.parallel, display)
        known = {entry.resource.urn for entry in run.snapshot.pending}
        if unknown := sorted(ids.keys() - known):
            raise UsageError(f"no operation on {unknown[0]} is pending; see `export`, pending_operations.")
        run.perform(lambda run: _recover(run, ids, clear))
        display.diagnostics([d for d in run.session.diagnostics if d.severity == "error"])
        failed = bool(run.session.stop_reason)
    return Outcome(FAILED if failed else OK)


def _recover(run: _Run, ids: Mapping[str, str], clear: bool) -> None:
    for entry in [e for e in run.snapshot.pending if e.kind == "creating"]:
        urn = entry.resource.urn
        if urn in ids:
            step = run.recovery.import_by_hand(entry, ids[urn])
            if step is None:
                run.session.note("error", urn, f"nothing exists under {ids[urn]}")
                return
            run.session.note("info", urn, f"adopted as {ids[urn]}")
            run.session.record(step)
        elif clear:
            run.recovery.drop([entry])
            run.snapshot.commit()
            run.session.note("info", urn, "forgotten; if it exists, nobody will delete it")
        else:
            run.session.note(
                "info", urn, "whether it exists is not known; `up` settles it, or --import URN=ID, --clear"
            )
