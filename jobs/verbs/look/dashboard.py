"""`dashboard`: pools, nodes, jobs, tasks and images in a browser on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
from typing import Final

from ...errors import UsageError
from ...exits import Exit
from ...session import Session
from ...signals import Ended

EXAMPLES: Final = ("dashboard", "dashboard --operate", "dashboard --stack dev --port 8321")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--operate",
        action="store_true",
        help="the pages may cancel, retry and make users on nodes; without, they only show",
    )
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="listen on this port (default: a free one)")
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; a port is a number from 1 to 65535")
    return int(text)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    import asyncio  # loaded here, as aiohttp is: `--help` needs neither

    from ...dashboard.access import Access
    from ...dashboard.server import Dashboard, serve

    access = Access(operate=arguments.operate)
    dashboard = Dashboard(session, access)
    dashboard.check()
    render = session.render

    def listening() -> None:
        address = f"http://127.0.0.1:{access.port}/#token={access.token}"
        if render.as_json:
            render.record({"address": address, "operate": access.operate})
        else:
            render.data(address)
        does = "shows, and may cancel, retry and connect" if access.operate else "only shows (--operate does more)"
        render.words(
            f"the dashboard of {session.connection.batch_endpoint.partition('://')[2]} {does}. "
            "The address works once, in one browser on this machine. Ctrl-C ends it"
        )

    try:
        asyncio.run(serve(dashboard, arguments.port, listening))
    except OSError as error:
        raise UsageError(
            f"port {arguments.port} cannot be had: {error.strerror}", next_step="leave --port out"
        ) from error
    except Ended:
        raise
    except KeyboardInterrupt:
        with contextlib.suppress(RuntimeError):
            render.words("the dashboard has ended")
    return Exit.OK
