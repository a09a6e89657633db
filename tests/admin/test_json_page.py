"""JSON as Envoy writes it."""

import json
from typing import Any

import pytest

from meshproxy.admin.json_page import dump


def text(tree: Any) -> str:
    return "".join(dump(tree))


@pytest.mark.parametrize(
    "tree",
    [
        {}, [], {"a": {}, "b": []}, {"a": 1, "b": [1, "x", None, True, 1.5], "c": {"d": [[1], {"e": {}}]}},
        "text", 5, ["quote \" and \\ and \n and é and \u4e2d"],
    ],
)  # fmt: skip
def test_one_space_a_level(tree: Any) -> None:
    assert text(tree) == json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def test_iterators_are_arrays() -> None:
    tree = {"a": iter([1, {"b": (each for each in [2, 3])}]), "c": iter(())}
    assert text(tree) == json.dumps({"a": [1, {"b": [2, 3]}], "c": []}, indent=1) + "\n"


def test_what_protobuf_escapes() -> None:
    assert text("<a>&\x7f\x85\u2028\ufeff\x01") == '"\\u003ca\\u003e&\\u007f\\u0085\\u2028\\ufeff\\u0001"\n'


def test_items_are_made_while_they_are_written() -> None:
    made = []

    def items() -> Any:
        for number in range(1000):
            made.append(number)
            yield {"number": number}

    pieces = dump({"all": items()})
    assert made == []
    assert '"number": 0' in next(pieces)
    assert len(made) < 100
