"""Mistakes in job files, in the files they name and in flags: the whole message of each, and that nothing was made.

`mistakes.txt` is the table. A case begins with `== its name`; `@ NAME` begins a file (job.yaml until then), `$` is the
command line (submit job.yaml --yes without one), and `-- ` are the lines of the message.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobs.command.parser import parse
from jobs.errors import UsageError
from tests.jobs.fakes import stage

TABLE = Path(__file__).with_name("mistakes.txt")


@dataclass
class Case:
    files: dict[str, str] = field(default_factory=lambda: {"job.yaml": ""})
    words: str = "submit job.yaml --yes"
    told: list[str] = field(default_factory=list)


def read(text: str) -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for block in re.split(r"^== ", text, flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        assert name not in cases
        case, file = cases.setdefault(name, Case()), "job.yaml"
        for line in rest.removesuffix("\n").splitlines():
            if line.startswith("-- "):
                case.told.append(line[3:])
            elif line.startswith("@ "):
                file = line[2:]
                case.files[file] = ""
            elif line.startswith("$ "):
                case.words = line[2:]
            else:
                case.files[file] += line + "\n"
    return cases


CASES = read(TABLE.read_text())


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_told_in_words_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    case, scene = CASES[name], stage()
    monkeypatch.chdir(tmp_path)
    for file, text in case.files.items():
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text(text)
    with pytest.raises(UsageError) as caught:
        arguments = parse(shlex.split(case.words))
        arguments.run(arguments, scene.session)
    assert str(caught.value).replace(str(tmp_path.resolve()), "FOLDER").splitlines() == case.told
    assert scene.batch.order == []
    assert scene.batch.definitions == {}
    assert scene.batch.users == []


def test_there_are_at_least_thirty_mistakes_that_are_told_with_file_and_line() -> None:
    at_a_line = [name for name, case in CASES.items() if all(re.match(r"[\w.]+:\d+: ", line) for line in case.told)]
    assert len(at_a_line) >= 100
    assert all(case.told for case in CASES.values())
