"""The store against a plain dict, across restarts, and killed in the middle."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.azure.platform.store import Store


@pytest.mark.parametrize("seed", range(8))
def test_the_store_behaves_like_a_dict_across_restarts(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    path = tmp_path / "azure.db"
    store, model = Store(path), {}
    keys = [f"{prefix}/{number}" for prefix in ("a", "b", "ä") for number in range(6)]
    for step in range(300):
        key = draw.choice(keys)
        match draw.randrange(6):
            case 0 | 1:
                store.put("kind", key, {"step": step})
                model[key] = {"step": step}
            case 5:
                with store.transaction():
                    for one in draw.choices(keys, k=4):
                        store.put_later("kind", one, lambda step=step: {"step": step})
                        model[one] = {"step": step}
                        if draw.random() < 0.3:
                            assert store.delete("kind", key) == (model.pop(key, None) is not None)
            case 2:
                assert store.delete("kind", key) == (model.pop(key, None) is not None)
            case 3:
                assert store.get("kind", key) == model.get(key)
            case _:
                store.close()
                store = Store(path)
        prefix = draw.choice(["", "a/", "ä", "b/3"])
        wanted = sorted(((k, v) for k, v in model.items() if k.startswith(prefix)), key=lambda one: one[0].encode())
        assert store.items("kind", prefix) == wanted
        assert list(store.scan("kind", prefix)) == [body for _, body in wanted]
        assert store.count("kind", prefix) == len(wanted)
    store.close()


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels):
        document = {"a": document, "b": [1]}
    return document


@pytest.mark.parametrize(
    "body",
    [
        {"text": "ü\u2028\x00\U0001f600", "none": None, "yes": True, "empty": [{}, [], ""]},
        {"small": 5e-324, "large": 1e16, "whole": 10**30, "negative": -0.0, "infinite": float("inf")},
        nested(150),
        nested(400),  # deeper than pydantic writes or reads
    ],
    ids=["texts", "numbers", "deep", "deeper"],
)
def test_a_document_comes_back_as_it_was(body: dict[str, Any]) -> None:
    store = Store(None)
    store.put("kind", "key", body)
    assert store.get("kind", "key") == body
    assert list(store.scan("kind")) == [body]


@pytest.mark.parametrize("body", [{"half of a pair": "\ud800"}, {"no JSON": object()}], ids=["surrogate", "object"])
def test_what_cannot_be_written_raises_and_writes_nothing(body: dict[str, Any]) -> None:
    store = Store(None)
    with pytest.raises((UnicodeEncodeError, TypeError)):
        store.put("kind", "key", body)
    assert store.count("kind") == 0


def test_pages_go_on_after_the_last_key() -> None:
    store = Store(None)
    for number in range(10):
        store.put("kind", f"k{number}", {"n": number})
    first = store.items("kind", "k", limit=4)
    rest = store.items("kind", "k", after=first[-1][0])
    assert [body["n"] for _, body in first + rest] == list(range(10))


def test_a_failed_transaction_leaves_nothing_and_an_inner_one_only_its_own_part() -> None:
    store = Store(None)
    with pytest.raises(KeyError), store.transaction():
        store.put("kind", "a", {})
        store.put_later("kind", "b", dict)
        raise KeyError
    assert store.count("kind") == 0
    with store.transaction():
        store.put("kind", "kept", {})
        with pytest.raises(KeyError), store.transaction():
            store.put("kind", "lost", {})
            store.put_later("kind", "lost too", dict)
            raise KeyError
    assert [key for key, _ in store.items("kind")] == ["kept"]


def test_all_of_a_prefix_are_removed_at_once() -> None:
    store = Store(None)
    with store.transaction():
        for key in ("a/1", "a/2", "ab", "b/1"):
            store.put_later("kind", key, dict)
        store.put("other", "a/1", {})
        store.delete_all("kind", "a/")
    assert [key for key, _ in store.items("kind")] == ["ab", "b/1"]
    assert store.count("other") == 1


def test_what_is_put_later_is_written_once_and_as_it_is_at_the_end() -> None:
    store, record, asked = Store(None), {"n": 0}, []

    def body() -> dict[str, int]:
        asked.append(record["n"])
        return dict(record)

    with store.transaction():
        for number in range(3):
            record["n"] = number
            store.put_later("kind", "a", body)
    assert store.get("kind", "a") == {"n": 2} and asked == [2]
    record["n"] = 5
    store.put_later("kind", "a", body)
    assert store.get("kind", "a") == {"n": 5}


def test_a_killed_process_loses_no_committed_document(tmp_path: Path) -> None:
    path = tmp_path / "azure.db"
    program = (
        "import sys\nfrom pathlib import Path\nfrom local.azure.platform.store import Store\n"
        "store = Store(Path(sys.argv[1]))\nnumber = 0\n"
        "while True:\n"
        "    with store.transaction():\n"
        "        store.put('kind', f'{number:06}', {'n': number})\n"
        "        store.put('twin', f'{number:06}', {'n': number})\n"
        "    print(number, flush=True)\n    number += 1\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    said = [int(writer.stdout.readline()) for _ in range(200)]
    writer.send_signal(signal.SIGKILL)
    said += [int(line) for line in writer.stdout.read().splitlines() if line]
    writer.wait()
    store = Store(path)
    found = [key for key, _ in store.items("kind")]
    assert found == [key for key, _ in store.items("twin")]
    assert len(found) >= said[-1] + 1
    store.close()


def test_the_file_is_private(tmp_path: Path) -> None:
    Store(tmp_path / "azure.db").close()
    assert (tmp_path / "azure.db").stat().st_mode & 0o777 == 0o600
