"""A drill: steps of a given length that leave a row each, in a table without a key, so that anything done twice would
be seen. For trying out signals, lost nodes and databases, in a pool of your own. Items: {"steps": 10, "seconds": 0.5};
with {"at": 3, "statement": "ROLLBACK"}, step 3 runs a statement that no handler should, after its row.

    migrate --handler docker_worker.examples.drill:handle        makes dbo.drill_steps
    run --queue drill --until-empty --handler docker_worker.examples.drill:handle
"""

from __future__ import annotations

import time
from typing import Final

from .. import DONE, MORE, Item, Transaction

MIGRATIONS: Final = (
    ("CREATE TABLE dbo.drill_steps (queue NVARCHAR(64) NOT NULL, item NVARCHAR(200) NOT NULL, step INT NOT NULL)",),
)
INSERT: Final = "INSERT INTO dbo.drill_steps (queue, item, step) VALUES (?, ?, ?)"


def handle(item: Item, step: int, tx: Transaction) -> str:
    time.sleep(float(item.data["seconds"]))
    tx.execute(INSERT, item.queue, item.key, step)
    if step == item.data.get("at"):
        tx.execute(item.data["statement"])
    return MORE if step + 1 < int(item.data["steps"]) else DONE
