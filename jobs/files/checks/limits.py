"""What no task can ever be given, whatever image and pool it has: told before anything is sent.

Linux takes no word and no `NAME=value` of 128 KiB or more (MAX_ARG_STRLEN, execve(2)), and no NUL in either. Batch
takes requests of up to 1 MB, and a task is in one request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ... import text
from ..document import Place
from ..model import inputs, patterns
from ..model.job import Job, JobFile, Program, Task

MOST_WORD: Final = 131_071  # bytes of a word, or of NAME=value: MAX_ARG_STRLEN without the NUL behind it
MOST_TOGETHER: Final = 900_000  # bytes of all texts of a task: a request's 1 MB without the names around them
_ALWAYS_GOOD: Final = MOST_WORD // 4  # characters that are few enough whatever they are
# The reference grammar of container images (distribution/reference): host, path in lower case, tag, digest.
_IMAGE: Final = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z0-9]+:[0-9a-fA-F]+)?"
)
Problem = tuple[Place, str]  # a place in the task, and what is wrong there


def problem(task: Task, job: Job) -> Problem | None:
    """Why this task, with its placeholders filled, can never run; None for a good one."""
    texts = [task.command] if isinstance(task.command, str) else task.command
    every = "".join((*texts, *task.environment.values(), task.entrypoint or "", task.image))
    doubtful = len(every) > _ALWAYS_GOOD or not every.isascii() or "\0" in every
    if doubtful and (found := next(_of_program(task), None)):
        return found
    if not _IMAGE.fullmatch(task.image):
        return ("image",), f"expected an image like registry.example/team/tool:1.2, got {task.image!r:.80}"
    if task.inputs and (found := inputs.problem(task.inputs)):
        return ("inputs", *found[0]), found[1]
    for index, output in enumerate(task.outputs):
        known = (*job.environment, *task.environment)
        if wrong := text.flaw(output.files) or patterns.problem(output.files, known):
            return ("outputs", index, "files"), wrong
    return None


def problems(file: JobFile) -> Iterator[Problem]:
    """What is wrong with the job's own programs and the environment of all tasks, with their places in the file."""
    yield from ((("job", *place), what) for place, what in _of_environment(file.job.environment))
    if found := inputs.problem(file.job.inputs):
        yield ("job", "inputs", *found[0]), found[1]
    for name, program in (("preparation", file.job.preparation), ("release", file.job.release)):
        if program is not None:
            if found := inputs.problem(program.inputs):
                yield ("job", name, "inputs", *found[0]), found[1]
            yield from ((("job", name, *place), what) for place, what in _of_program(program))
            if not _IMAGE.fullmatch(program.image):
                what = f"expected an image like registry.example/team/tool:1.2, got {program.image!r:.80}"
                yield ("job", name, "image"), what
    for index, task in enumerate(file.tasks.tasks or ()):
        if found := problem(task, file.job):
            yield ("tasks", "list", index, *found[0]), found[1]


def _of_program(program: Program) -> Iterator[Problem]:
    words: Sequence[str] = [program.command] if isinstance(program.command, str) else program.command
    together = 0
    for index, word in enumerate(words):
        place: Place = ("command",) if isinstance(program.command, str) else ("command", index)
        together += (size := _size(word))
        if wrong := text.flaw(word):
            yield place, wrong
        elif size > MOST_WORD:
            yield place, f"{size} bytes in one word, and Linux gives a program at most {MOST_WORD}; {_ADVICE}"
    yield from _of_environment(program.environment)
    together += sum(_size(name) + _size(value) for name, value in program.environment.items())
    if together > MOST_TOGETHER:
        yield ("command",), f"{together} bytes of command and environment, and Batch takes 1 MB in all; {_ADVICE}"
    for name, value in (("entrypoint", program.entrypoint or ""), ("image", program.image)):
        if wrong := text.flaw(value):
            yield (name,), wrong


_ADVICE: Final = "put them into a blob that the task reads"


def _of_environment(environment: Mapping[str, str]) -> Iterator[Problem]:
    for name, value in environment.items():
        if wrong := text.flaw(value):
            yield ("environment", name), wrong
        elif (size := _size(name) + 1 + _size(value)) > MOST_WORD:
            yield (
                ("environment", name),
                f"{size} bytes, and Linux gives a program at most {MOST_WORD} in one variable; {_ADVICE}",
            )


def _size(value: str) -> int:
    return len(value.encode(errors="surrogatepass"))
