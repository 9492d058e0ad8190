"""Values of placeholders in what a shell reads stay data: a real /bin/sh says what it was given."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from jobs.errors import JobFileError
from jobs.files.expand.placeholders import fill_shell
from jobs.files.expand.shell import script_places
from jobs.files.expand.sources import expand
from jobs.files.load import load
from jobs.files.model.job import Program, Task

NASTY = [
    "plain", "", "a b", "$(echo ran)", "`echo ran`", "'; echo ran; '", '"; echo ran; "', "$HOME", "${HOME}", "a\\",
    "\\'",
    "a\nb", "*", "~", "-n", "2", "x=y", "a'b\"c`d$e\\f", "é \U0001f600", "#c", "!x", "a;b&c|d<e>f(g)", "%s",
]  # fmt: skip
# What prints the value, and nothing else, in angle brackets.
TEMPLATES = [
    "printf '<%s>' {v}",
    "printf '<%s>' '{v}'",
    "printf '<%s>' \"{v}\"",
    "true && printf '<%s>' {v} # and '{{' so on",
    "x=\"$(printf '%s|' {v})\"; printf '<%s>' \"${{x%|}}\"",
    'x="$(printf \'%s|\' "{v}")"; printf \'<%s>\' "${{x%|}}"',
    "(printf '<%s>' '{v}')",
    "x={v}; printf '<%s>' \"$x\"",
    'x=\'{v}\'; printf "<%s>" "$x"',
    "echo it\\'s >/dev/null; printf '<%s>' \"{v}\"",
    'printf "<%s>" ""{v}\'\'',
    "if true; then printf '<%s>' {v}; fi",
    "printf '<%s>' {v}>&1",
]
SHELLS = [shell for shell in ("sh", "bash", "dash") if shutil.which(shell)]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_value_is_one_piece_of_data_wherever_it_stands(template: str) -> None:
    for shell in SHELLS:
        script = "\n".join(fill_shell(template, {"v": value}) + "\nprintf '\\0'" for value in NASTY)
        done = subprocess.run([shell, "-c", script], capture_output=True, check=False)
        assert done.stdout.decode().split("\0")[:-1] == [f"<{value}>" for value in NASTY], done.stderr


@pytest.mark.parametrize(
    "template",
    [
        "cat <<END\n{v}\nEND",
        "echo `printf {v}`",
        "echo $(( {v} + 1 ))",
        "echo ${{x:-{v}}}",
        "echo hi # {v}",
        "echo \\{v}",
        'echo "\\{v}"',
        "echo $'{v}'",
        'echo "$(case x in x) echo {v};; esac)"',
    ],
)
def test_where_no_quoting_holds_only_harmless_values_are_taken(template: str) -> None:
    assert fill_shell(template, {"v": "v1.2-x_3"}) == template.format(v="v1.2-x_3")
    for value in ("$(id)", "a b", "a\nb", "a;b", "'", "x=y"):
        with pytest.raises(ValueError, match=r"put it in quotes there, or write \{v:raw\}"):
            fill_shell(template, {"v": value})


def test_raw_puts_a_value_in_as_it_is() -> None:
    assert fill_shell("run {options:raw} '{name}'", {"options": "--x 1 | cat", "name": "it's"}) == (
        "run --x 1 | cat 'it'\\''s'"
    )


@pytest.mark.parametrize(
    ("entrypoint", "words", "places"),
    [
        (None, ["sh", "-c", "x"], {2}),
        (None, ["/bin/bash", "-eu", "-o", "pipefail", "-c", "x", "y"], {5}),
        (None, ["bash", "-lc", "x"], {2}),
        ("/bin/sh", ["-c", "x"], {1}),
        (None, ["bash", "script.sh", "-c", "x"], set()),
        (None, ["python", "-c", "x"], set()),
        (None, [], set()),
    ],
)
def test_the_program_that_a_shell_reads_is_found_in_a_list_of_words(
    entrypoint: str | None, words: list[str], places: set[int]
) -> None:
    assert script_places(entrypoint, words) == places


def tasks(tmp_path: Path, template: str, value: str = "$(touch ran)") -> list[Task]:
    (tmp_path / "rows.csv").write_text(f'v\n"{value}"\n')
    path = tmp_path / "job.yaml"
    path.write_text(f"job: {{family: hello}}\ntasks:\n  template: {template}\n  rows: {{file: rows.csv}}\n")
    return list(expand(load(path), job_id="j", folder=tmp_path))


def test_a_column_of_a_row_never_runs(tmp_path: Path) -> None:
    (task,) = tasks(tmp_path, "{id: a, shell: true, command: 'check {v}'}")
    assert task.command == "check '$(touch ran)'"
    (task,) = tasks(tmp_path, "{id: a, command: [bash, -c, 'check {v}', '{v}']}")
    assert task.command == ["bash", "-c", "check '$(touch ran)'", "$(touch ran)"]
    (task,) = tasks(tmp_path, "{id: a, shell: true, command: 'check {v:raw}'}")
    assert task.command == "check $(touch ran)"
    assert not any(path.name == "ran" for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (
            "{id: a, shell: true, command: 'echo `x {v}`'}",
            "rows.csv:2: command: the value of {v}: '$(touch ran)' would",
        ),
        (
            "{id: a, shell: true, command: 'echo ${v}'}",
            "${v} is a $ and the value of {v}; leave the $ out, or write ${{v}}",
        ),
        ("{id: a, command: [check, '{v:raw}']}", "expected placeholders like {name}, got '{v:raw}'"),
        ("{id: '{v:raw}', shell: true, command: x}", "expected placeholders like {name}, got '{v:raw}'"),
        ("{id: a, shell: true, command: 'x {v:r}'}", "expected placeholders like {name}, got 'x {v:r}'"),
    ],
)
def test_a_place_where_a_value_cannot_stand_is_told(tmp_path: Path, template: str, told: str) -> None:
    with pytest.raises(JobFileError) as caught:
        tasks(tmp_path, template)
    assert told in caught.value.problems[0]


def test_commands_of_a_list_are_nobodys_template() -> None:
    assert Program(shell=True, command="echo ${HOME} {x}").command == "echo ${HOME} {x}"


def test_pairs_of_values_do_not_change_each_other() -> None:
    for first, second in itertools.product(NASTY[:12], repeat=2):
        script = fill_shell("printf '<%s>' {a}'{b}'\"{a}\"", {"a": first, "b": second})
        done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
        assert done.stdout.decode() == f"<{first}{second}{first}>"
