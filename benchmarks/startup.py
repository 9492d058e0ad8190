"""`python -m benchmarks.startup`: how long `--help` and each `VERB --help` take, warm, beside a bare Python.

The best of some runs counts: what else the machine does only adds to it. Goal: `--help` 0.15 s, a verb's 0.4 s.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from jobs.verbs import VERBS

ROOT = Path(__file__).parents[1]
RUNS = 5


def seconds(*arguments: str) -> float:
    """The shortest of some runs of Python with these arguments."""
    times = []
    for _ in range(RUNS + 1):  # the first one warms up
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return min(times[1:])


def main() -> int:
    bare = seconds("-c", "")
    print(f"{'bare Python':<16} {bare:.3f} s")
    for arguments, goal in ((["--help"], 0.15), *(([*verb.split(), "--help"], 0.4) for verb in VERBS)):
        took = seconds("-m", "jobs", *arguments)
        print(f"{' '.join(arguments):<16} {took:.3f} s  (goal {goal} s{'' if took <= goal else ': MISSED'})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
