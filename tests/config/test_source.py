"""Files and texts that become trees, and those that cannot."""

import os
from pathlib import Path
from typing import Any

import pytest

from meshproxy.config.errors import ConfigError
from meshproxy.config.source import MAX_DEPTH, inline, read


def tree(text: str) -> Any:
    return inline(text).tree


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        inline(text, "x.yaml")
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("yEs", "yEs"),
        ("~", None),
        ("", None),
        ("0x10", 16),
        ("-0x10", -16),
        ("010", 8),
        ("08", "08"),
        ("+5", 5),
        ("2147483647", 2147483647),
        ("2147483648", "2147483648"),
        ("0xFFFFFFFFFF", "1099511627775"),
        ("9223372036854775808", "9223372036854775808"),
        ("9" * 5000, "9" * 5000),
        ("0.5", "0.5"),
        ("1e3", "1e3"),
        ("1_0", "1_0"),
        ("٣", "٣"),
        ("'yes'", "yes"),
        ('"5"', "5"),
        ("! 5", "5"),
        ("!!str 5", 5),
        ("!!int '5'", 5),
        ("|\n  5", "5\n"),
    ],
)
def test_a_scalar_is_what_envoy_makes_of_it(scalar: str, value: Any) -> None:
    result = tree(f"a: {scalar}\n")["a"]
    assert (result, type(result)) == (value, type(value))


def test_the_last_of_two_equal_keys_counts_with_a_warning() -> None:
    source = inline("a: 1\nb:\n  c: 1\n  c: 2\n", "x.yaml")
    assert source.tree == {"a": 1, "b": {"c": 2}}
    (remark,) = source.remarks
    assert (str(remark), remark.severity) == ("x.yaml:4:3: 'c' is set more than once; the last one counts", "ignored")


def test_the_same_in_json(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": {"b": 1, "b": 2}}')
    source = read(str(path))
    assert source.tree == {"a": {"b": 2}}
    assert "'b' is set more than once" in str(source.remarks[0])


def test_anchors() -> None:
    assert tree("a: &x {b: [1]}\nc: *x\nd: &y 5\ne: *y") == {"a": {"b": [1]}, "c": {"b": [1]}, "d": 5, "e": 5}


def test_an_alias_that_contains_itself() -> None:
    assert refusal("a: &x {b: *x}") == "x.yaml:1:11: the alias 'x' contains itself"


def test_an_unknown_alias() -> None:
    assert refusal("a: *x") == "x.yaml:1:4: no anchor is called 'x'"


def test_an_alias_bomb_goes_off_nowhere() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    for previous, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{','.join([f'*{previous}'] * 10)}]")
    assert "the aliases stand for more than" in refusal("\n".join(lines))


def test_depth_is_bounded(tmp_path: Path) -> None:
    assert tree("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    assert f"nested more than {MAX_DEPTH} deep" in refusal("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH)
    path = tmp_path / "x.json"
    for depth in (MAX_DEPTH + 1, 100_000):
        path.write_text('{"a": ' + "[" * depth + "]" * depth + "}")
        with pytest.raises(ConfigError, match=f"nested more than {MAX_DEPTH} deep"):
            read(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.yaml: the file is empty"),
        ("[]", "x.yaml: the top of a configuration must be a mapping, not a list"),
        ("foo", "x.yaml: the top of a configuration must be a mapping, not a single value"),
        ("a: [\n", "x.yaml:2:1: broken YAML: did not find expected node content"),
        ("a: b\n  c: d\n", "x.yaml:2:4: broken YAML: mapping values are not allowed in this context"),
        ("? [a]\n: 5\n", "x.yaml:1:3: the key of a mapping must be a plain text"),
        ("a: \x00", "x.yaml: broken YAML: control characters are not allowed"),
    ],
)
def test_broken_yaml_is_one_line_with_its_place(text: str, said: str) -> None:
    assert refusal(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": the file is empty"),
        ("{", ":1:2: broken JSON: Expecting property name enclosed in double quotes"),
        ('{"a": NaN}', ": broken JSON: NaN is not a number in JSON"),
        ("a: b", ":1:1: broken JSON: Expecting value (a file that is not called .yaml or .yml must be JSON)"),
        ('{"a":\n 1,, "b": 2}', ":2:4: broken JSON: Expecting property name enclosed in double quotes"),
    ],
)
def test_broken_json_is_one_line_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read(str(path))
    assert str(refused.value) == f"{path}{said}"


def test_what_json_forgives(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("""{a : 'it\\'s "b"', "c": "d: 'e', }", f: [1, 2, ], }""")
    assert read(str(path)).tree == {"a": 'it\'s "b"', "c": "d: 'e', }", "f": [1, 2]}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "x.yaml"
    binary.write_bytes(b"a: \xff")
    secret = tmp_path / "secret.yaml"
    secret.write_text("a: 1")
    secret.chmod(0)
    said = {
        str(tmp_path / "none.yaml"): "no such file",
        str(tmp_path): "is a directory, not a file",
        str(binary): "not UTF-8 text: invalid start byte at byte 3",
        f"{binary}/x": "cannot be read: Not a directory",
        "a\0b": "not a file name: embedded null byte",
    }
    if os.geteuid() != 0:
        said[str(secret)] = "cannot be read: Permission denied"
    for path, reason in said.items():
        with pytest.raises(ConfigError) as refused:
            read(path)
        assert str(refused.value).endswith(reason)
