"""A numeric job: how many primes are there in a range? One step for each block of numbers, so that a long range
survives any interruption. Items: {"low": 0, "high": 1000000}. Results: one row a step in dbo.work_results.

    enqueue --queue primes ranges.csv        (columns low, high)
    run --queue primes --until-empty --handler docker_worker.examples.primes:handle
"""

from __future__ import annotations

from typing import Final

from .. import DONE, MORE, Item, Transaction

BLOCK: Final = 50_000


def handle(item: Item, step: int, tx: Transaction) -> str:
    low, high = int(item.data["low"]), int(item.data["high"])
    begin = low + step * BLOCK
    end = min(begin + BLOCK, high)
    tx.save({"low": begin, "high": end, "primes": count(begin, end)})
    return MORE if end < high else DONE


def count(low: int, high: int) -> int:
    """The number of primes in low <= n < high, by a sieve over the range."""
    low = max(low, 2)
    if high <= low:
        return 0
    prime = bytearray(b"\x01") * (high - low)
    divisor = 2
    while divisor * divisor < high:
        first = max(divisor * divisor, -(-low // divisor) * divisor)
        prime[first - low :: divisor] = bytes(len(range(first - low, high - low, divisor)))
        divisor += 1
    return sum(prime)
