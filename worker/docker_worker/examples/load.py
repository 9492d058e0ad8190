"""A file loaded into a table, some hundred lines a step. Items: {"file": "readings.csv"}, a CSV with a first line
`sensor,value`, found in the task's working directory (a Batch resource file puts it there).

    migrate --handler docker_worker.examples.load:handle         makes dbo.sensor_readings
    enqueue --queue load files.jsonl --key file
    run --queue load --until-empty --handler docker_worker.examples.load:handle
"""

from __future__ import annotations

import csv
import itertools
import os
from pathlib import Path
from typing import Final

from .. import DONE, MORE, Item, Transaction

CHUNK: Final = 200
MIGRATIONS: Final = (
    (
        "CREATE TABLE dbo.sensor_readings (source NVARCHAR(200) NOT NULL, line INT NOT NULL, "
        "sensor NVARCHAR(100) NOT NULL, value FLOAT NOT NULL, PRIMARY KEY (source, line))",
    ),
)
INSERT: Final = "INSERT INTO dbo.sensor_readings (source, line, sensor, value) VALUES (?, ?, ?, ?)"


def handle(item: Item, step: int, tx: Transaction) -> str:
    path = Path(os.environ.get("AZ_BATCH_TASK_WORKING_DIR", ".")) / item.data["file"]
    with path.open(newline="", encoding="utf-8") as stream:
        lines = list(itertools.islice(csv.DictReader(stream), step * CHUNK, (step + 1) * CHUNK))
    for number, line in enumerate(lines, start=step * CHUNK + 1):
        tx.execute(INSERT, item.data["file"], number, line["sensor"], float(line["value"]))
    return MORE if len(lines) == CHUNK else DONE
