"""The engine's calls to a language host (pulumi/proto/language.proto of SDK 3.272): run a program, run a policy pack.

A program is run as the official host does it: by Pulumi's own executor script (`pulumi-language-python-exec` of the Go
module of the SDK), which PULUMI_STANDIN_EXECUTOR names. Exit code 32 of that script means that the program's error was
shown already. What belongs to writing or installing programs (templates, code generation, `pulumi install`) is refused
by name.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from local.plugins.language_python.programs import Interpreter, ProgramNotStarted, Programs
from local.plugins.protocol import lifetime

EXECUTOR: Final = "PULUMI_STANDIN_EXECUTOR"
ERROR_SHOWN: Final = 32  # exit code of the executor script: "showing user actionable message"
THREADS: Final = 16
VERSION: Final = "3.272.0+local"
# Prints the installed packages of an interpreter; pip is not asked, because an environment made by uv has none.
_LIST_PACKAGES: Final = (
    "import importlib.metadata as m, json; "
    "print(json.dumps(sorted({(d.metadata['Name'], d.version) for d in m.distributions()})))"
)


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """One host serves one command of the CLI. `engine` is the address of the engine, `host:port`."""

    def __init__(self, engine: str, programs: Programs) -> None:
        self._engine = engine
        self._programs = programs

    # -- what it is

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        python = self._interpreter(request.info, context)
        return language_pb2.AboutResponse(executable=str(python.executable), version=platform.python_version())

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: grpc.ServicerContext
    ) -> language_pb2.RuntimeOptionsResponse:
        return language_pb2.RuntimeOptionsResponse()

    # -- what a program needs: plugins come from the project file, packages from `make setup`

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(
        self, request: language_pb2.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPluginsResponse:
        return language_pb2.GetRequiredPluginsResponse()

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        python = self._interpreter(request.info, context)
        listed = subprocess.run(
            [str(python.executable), "-c", _LIST_PACKAGES], capture_output=True, text=True, check=False
        )
        if listed.returncode:
            context.abort(grpc.StatusCode.INTERNAL, f"the packages of {python.executable} cannot be listed")
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=version) for name, version in json.loads(listed.stdout)
            ]
        )

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        _refuse(context, "installing packages", "make setup")

    def Template(self, request: language_pb2.TemplateRequest, context: grpc.ServicerContext) -> NoReturn:
        _refuse(context, "making projects from templates", "use an official installation of Pulumi")

    # -- running

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        """Run the program to its end. What it prints goes to our stdout and stderr, which the engine shows."""
        if request.attach_debugger:
            return language_pb2.RunResponse(error="attaching a debugger is not supported by this language host")
        try:
            command, environment = self._program(request)
            code = self._programs.run(command, request.pwd, environment)
        except ProgramNotStarted as error:
            return language_pb2.RunResponse(error=str(error))
        return language_pb2.RunResponse(
            error=explain_exit(code, cancelled=self._programs.cancelled.is_set()), bail=code == ERROR_SHOWN
        )

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a policy pack or a plugin written in Python; the engine reads its port from the streamed stdout."""
        stopped = threading.Event()
        context.add_callback(stopped.set)
        try:
            python = Interpreter.choose(Path(request.info.root_directory), _options(request.info))
            program = str(Path(request.info.program_directory, request.info.entry_point))
            # pulumi.policy is the entry point of pulumi-policy; its arguments are the engine's address and the pack.
            policy = ["-m", "pulumi.policy", *request.args, program]
            arguments = policy if request.kind == "analyzer" else [program, *request.args]
            command = [str(python.executable), "-u", *arguments]
            given = dict(entry.split("=", 1) for entry in request.env) if request.env else dict(os.environ)
            for piece in self._programs.stream(command, request.pwd, python.environment(given), stopped):
                match piece:
                    case int(code):
                        yield language_pb2.RunPluginResponse(exitcode=code)
                    case ("stdout", output):
                        yield language_pb2.RunPluginResponse(stdout=output)
                    case (_, output):
                        yield language_pb2.RunPluginResponse(stderr=output)
        except ProgramNotStarted as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The deployment is over, or somebody pressed Ctrl-C: end what still runs."""
        self._programs.end_all()
        return empty_pb2.Empty()

    def _program(self, request: language_pb2.RunRequest) -> tuple[list[str], dict[str, str]]:
        """The command and the environment of the program's process."""
        executor = os.environ.get(EXECUTOR, "")
        if not Path(executor).is_file():
            raise ProgramNotStarted(
                f"Pulumi's executor script is not at {EXECUTOR}={executor!r}\n"
                "  next:  make setup, then start the CLI by: python -m local pulumi"
            )
        info = request.info
        python = Interpreter.choose(Path(info.root_directory), _options(info))
        environment = python.environment(os.environ) | {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        command = [
            str(python.executable),
            "-u",
            executor,
            "--monitor",
            request.monitor_address,
            "--engine",
            self._engine,
            "--project",
            request.project,
            "--stack",
            request.stack,
            "--organization",
            request.organization,
            "--root_directory",
            info.root_directory,
            "--pwd",
            request.pwd,
            "--dry_run",
            str(request.dryRun).lower(),
            "--parallel",
            str(request.parallel),
            str(Path(info.program_directory, info.entry_point)),
            *request.args,
        ]
        return command, environment

    def _interpreter(self, info: language_pb2.ProgramInfo, context: grpc.ServicerContext) -> Interpreter:
        try:
            return Interpreter.choose(Path(info.root_directory), _options(info))
        except ProgramNotStarted as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            raise


def explain_exit(code: int, *, cancelled: bool) -> str:
    """What the engine shall say of a program that ended with this code; nothing if there is nothing to say."""
    if code in (0, ERROR_SHOWN) or cancelled:
        return ""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return (
            f"the program was ended by {name}\n"
            "  cause: somebody, or the kernel when memory ran out, ended it; nothing was registered after that\n"
            "  next:  run the same command again; it goes on from the state that was saved"
        )
    return f"the program ended with exit code {code}; what it printed is shown above"


def _options(info: language_pb2.ProgramInfo) -> dict[str, object]:
    """`runtime.options` of the project file or policy pack."""
    return json_format.MessageToDict(info.options) if info.HasField("options") else {}


def _refuse(context: grpc.ServicerContext, what: str, next_step: str) -> NoReturn:
    context.abort(
        grpc.StatusCode.UNIMPLEMENTED,
        f"{what} is not supported by the language host that stands in for the official one\n  next:  {next_step}",
    )
    raise AssertionError("abort raises")


def serve() -> NoReturn:
    """Serve until SIGINT or SIGTERM, or until the engine's process has gone; every program ends with the host."""
    programs = Programs()
    host = LanguageHost(sys.argv[-1], programs)
    lifetime.run(
        lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server),
        programs.end_all,
        threads=THREADS,
        grace_seconds=0,
    )
