"""Property values: what goes over the wire and into the state comes back the same; paths; comparison."""

import json

import pytest

from local.engine.codec import (
    SIG,
    UNKNOWN,
    Secret,
    covers,
    diff_values,
    from_state,
    from_struct,
    has_secret,
    has_unknown,
    join_path,
    parse_path,
    plain,
    remark,
    reset_path,
    scrub,
    to_state,
    to_struct,
)

VALUES = {
    "text": "x",
    "whole": 3,
    "broken": 1.5,
    "yes": True,
    "nothing": None,
    "list": [1, "two", [3]],
    "map": {"a": {"b": [Secret({"c": 1})]}},
    "secret": Secret("s"),
}


def test_values_survive_the_wire():
    values = {**VALUES, "unknown": UNKNOWN, "hidden": Secret(UNKNOWN)}
    back = from_struct(to_struct(values))
    assert back == values and back["whole"] == 3 and isinstance(back["whole"], int) and back["unknown"] is UNKNOWN


def test_marks_are_dropped_for_those_who_do_not_take_secrets():
    assert from_struct(to_struct(VALUES, keep_secrets=False)) == plain(VALUES)


def test_what_is_no_property_value_is_refused():
    with pytest.raises(TypeError, match="not a property value: object"):
        to_struct({"a": object()})


def test_values_survive_the_state_file_and_secrets_are_not_in_it():
    sealed = to_state(VALUES, lambda content: json.dumps(content)[::-1])
    assert from_state(json.loads(json.dumps(sealed)), lambda text: json.loads(text[::-1])) == VALUES
    assert SIG in sealed["secret"]


def test_unknown_values_cannot_be_saved():
    with pytest.raises(ValueError, match="unknown value"):
        to_state({"a": [UNKNOWN]}, str)


def test_marks_are_found_and_hidden():
    assert has_secret(VALUES) and not has_unknown(VALUES) and has_unknown({"a": [Secret({"b": UNKNOWN})]})
    assert scrub({"a": Secret(1), "b": [Secret(2)]}) == {"a": "[secret]", "b": ["[secret]"]}
    assert scrub({"a": Secret([Secret(1)])}, reveal=True) == {"a": [1]}
    assert "s3cr3t" not in repr({"a": Secret("s3cr3t")})


def test_marks_are_carried_over_by_path_and_lists_become_secret_as_a_whole():
    marked = {"a": Secret(1), "b": {"c": Secret(2), "d": 3}, "e": [{"f": Secret(4)}], "g": 5}
    assert remark({"a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 4}], "g": 5, "h": 6}, marked) == {
        "a": Secret(1),
        "b": {"c": Secret(2), "d": 3},
        "e": Secret([{"f": 4}]),
        "g": 5,
        "h": 6,
    }


@pytest.mark.parametrize(
    "text, steps",
    [
        ("a", ["a"]),
        ("a.b[0].c", ["a", "b", 0, "c"]),
        ("a[*]", ["a", "*"]),
        ("*", ["*"]),
        ('a["x.y"][1]', ["a", "x.y", 1]),
        ('a["say \\"hi\\""]', ["a", 'say "hi"']),
    ],
)
def test_paths_are_parsed(text, steps):
    assert parse_path(text) == steps


@pytest.mark.parametrize("text", ["a[", "a[b]", "a..b", '["a'])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(ValueError, match="not a property path"):
        parse_path(text)


def test_joined_paths_parse_back():
    steps = ["a", "x.y", 0, 'q"uote', "b\\c[0]", ""]
    path = ""
    for step in steps:
        path = join_path(path, step)
    assert parse_path(path) == steps


@pytest.mark.parametrize(
    "pattern, path, expected",
    [
        ("a", "a.b", True),
        ("a.b", "a", True),
        ("a.b", "a.c", False),
        ("a[*].b", "a[3].b.c", True),
        ("a[*].b", "a[3].c", False),
        ("*", "anything", True),
    ],
)
def test_a_pattern_covers_what_lies_at_under_or_above_it(pattern, path, expected):
    assert covers(pattern, path) is expected


def test_values_are_compared_by_path():
    old = {"a": 1, "b": {"c": [1, 2]}, "x.y": "p", "gone": 1, "s": Secret("1"), "n": 1}
    new = {"a": 1, "b": {"c": [1, 3, 4]}, "x.y": "q", "come": 1, "s": "1", "n": 1.0}
    assert diff_values(old, new) == {
        '["x.y"]': "update",
        "b.c[1]": "update",
        "b.c[2]": "add",
        "come": "add",
        "gone": "delete",
    }
    assert diff_values({"a": "1", "b": True}, {"a": UNKNOWN, "b": 1}) == {"a": "update", "b": "update"}


def test_ignored_paths_take_their_old_value():
    old = {"t": {"a": 1, "b": 1}, "l": [{"v": 1, "w": 1}], "gone": 1}
    new = {"t": {"a": 2, "b": 2, "c": 2}, "l": [{"v": 2, "w": 2}, {"v": 3}], "s": Secret({"p": 2})}
    assert reset_path(new, old, ["t", "a"])["t"] == {"a": 1, "b": 2, "c": 2}
    assert reset_path(new, old, ["t", "c"])["t"] == {"a": 2, "b": 2}
    assert reset_path(new, old, ["t", "*"])["t"] == {"a": 1, "b": 1}
    assert reset_path(new, old, ["l", "*", "v"])["l"] == [{"v": 1, "w": 2}, {"v": 3}]
    assert reset_path(new, old, ["gone"])["gone"] == 1
    assert reset_path(new, {"s": Secret({"p": 1})}, ["s", "p"])["s"] == Secret({"p": 1})
    assert new["t"] == {"a": 2, "b": 2, "c": 2}  # what was given is not changed
