"""`python -m benchmarks [--quick] [PART ...]`: the submitter beside the SDK's `create_tasks` and a bare loop.

Parts: speed, limits, memory, noise. Client and stand-in are processes of their own; figures to stdout as they come.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LIMIT = 40


@contextmanager
def standin(*options: str) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.standin", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def ask(port: int, path: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
        return json.load(answer)


def contend(kind: str, port: int, count: int, workers: int) -> dict[str, Any]:
    ask(port, "reset")
    command = [sys.executable, "-m", "benchmarks.contenders", kind, str(port), str(count), str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout) | {"workers": workers} | {"service": ask(port, "stats")}


def best(kind: str, port: int, count: int, workers: tuple[int, ...], repeats: int) -> dict[str, Any]:
    runs = [contend(kind, port, count, number) for _ in range(repeats) for number in workers]
    return max(runs, key=lambda figures: figures["rate"])


def speed(quick: bool) -> None:
    repeats, few, many = (1, 10_000, 100_000) if quick else (3, 40_000, 300_000)
    print("tasks a second (best of each)       sdk             ours             bare      ours/sdk  ours/bare")
    for latency in ("0", "0.15"):
        slow = latency != "0"
        with standin("--latency", latency) as port:
            sdk = best("sdk", port, few, (16, 32, 64) if slow else (1, 4, 8, 32), repeats)
            ours = best("ours", port, many, (64, 100) if slow else (4, 8, 16), repeats)
            bare = best("bare", port, many, (64, 100) if slow else (4, 8, 16), repeats)
        row = "  ".join(f"{figures['rate']:>8.0f} ({figures['workers']:>3})" for figures in (sdk, ours, bare))
        ratio, share = ours["rate"] / sdk["rate"], ours["rate"] / bare["rate"]
        print(f"latency {float(latency) * 1000:>3.0f} ms          {row}   {ratio:>6.1f} x  {share:>6.0%}", flush=True)
        used = [figures["cpu"] / count * 1e6 for figures, count in ((sdk, few), (ours, many), (bare, many))]
        print("  processor time     " + "  ".join(f"{micro:>6.1f} us/task" for micro in used), flush=True)


def limits(quick: bool) -> None:
    count = 60_000 if quick else 120_000
    print(f"{LIMIT} requests/s allowed       share of the ideal   refused after the first second")
    for refusal, after in ((429, None), (429, "1"), (503, None), (503, "1")):
        options = ["--rate", str(LIMIT), "--refusal", str(refusal)]
        with standin(*options, *(["--retry-after", after] if after else [])) as port:
            figures = contend("ours", port, count, 32)["service"]
        share = figures["tasks"] / 100 / figures["seconds"] / LIMIT
        later = figures["refused_later"] / max(1, figures["requests_later"])
        print(
            f"{refusal}, Retry-After {after or 'none':<4}          {share:>6.1%}               {later:.2%}", flush=True
        )


def noise(quick: bool) -> None:
    """Errors that come now and then, without a limit: the share of the ideal (clean speed x share that succeeds)."""
    count, workers = (100_000 if quick else 1_000_000), 16
    with standin() as port:
        clean = {kind: contend(kind, port, count, workers)["rate"] for kind in ("ours", "simple")}
    print(f"errors now and then           ours: share of the ideal ({clean['ours']:.0f}/s clean)", end="")
    print(f"    simple client ({clean['simple']:.0f}/s clean)", flush=True)
    for fault, after in (("429", None), ("429", "1"), ("503", None), ("503", "1"), ("500", None), ("reset", None)):
        for share in (0.01, 0.03, 0.10):
            options = ["--noise", fault, "--noise-share", str(share), *(["--retry-after", after] if after else [])]
            with standin(*options) as port:
                rates = {kind: contend(kind, port, count, workers)["rate"] for kind in clean}
            shares = {kind: rates[kind] / (clean[kind] * (1 - share)) for kind in clean}
            name = f"{fault}{', Retry-After ' + after if after else ''}"
            print(f"{name:<20} {share:>5.0%}    {shares['ours']:>8.1%}  {shares['simple']:>30.1%}", flush=True)


def memory(quick: bool) -> None:
    few, many = (10_000, 100_000) if quick else (100_000, 1_000_000)
    with standin() as port:
        small, large = (contend("ours", port, count, 16) for count in (few, many))
    print(f"peak memory: {few} tasks {small['peak_mib']:.1f} MiB, {many} tasks {large['peak_mib']:.1f} MiB", end="")
    print(f" (grows by {large['peak_mib'] - small['peak_mib']:.1f} MiB); {large['rate']:.0f} tasks/s {large['note']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="a tenth of the tasks, one repetition")
    parser.add_argument("part", nargs="*", choices=[[], "speed", "limits", "memory", "noise"])
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    for part in (speed, memory, limits, noise):
        if not arguments.part or part.__name__ in arguments.part:
            part(arguments.quick)
