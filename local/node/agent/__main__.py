"""The agent's process: `python3 -m local.node.agent BOOT_FILE`, until TERM or INT."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from local.node.agent.assembly import Agent
from local.node.agent.config import NoBootFile, take_config


async def main(boot_file: Path) -> None:
    """Run the agent until TERM or INT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    agent = Agent(take_config(boot_file))
    await agent.open()
    await stop.wait()
    await agent.close()


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1])))
    except NoBootFile as error:
        sys.exit(str(error))
