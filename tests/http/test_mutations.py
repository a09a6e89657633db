"""Header mutations and joined headers."""

from typing import Any

import pytest

from meshproxy.http.headers import Headers, Pair
from meshproxy.http.inline import add_header
from meshproxy.http.mutations import append, remove, remove_matching

NOBODY: Any = None


@pytest.mark.parametrize(
    "action, absent, present",
    [
        ("APPEND_IF_EXISTS_OR_ADD", [("x", "n")], [("x", "1"), ("y", "2"), ("x", "n")]),
        ("ADD_IF_ABSENT", [("x", "n")], [("x", "1"), ("y", "2")]),
        ("OVERWRITE_IF_EXISTS", [], [("y", "2"), ("x", "n")]),
        ("OVERWRITE_IF_EXISTS_OR_ADD", [("x", "n")], [("y", "2"), ("x", "n")]),
    ],
)
def test_append_actions(action: str, absent: list[Pair], present: list[Pair]) -> None:
    mutate = append("x", lambda _stream: "n", action, keep_empty=False)
    for before, after in (([], absent), ([("x", "1"), ("y", "2")], present)):
        headers = Headers(list(before))
        mutate(NOBODY, headers)
        assert headers.pairs == after


def test_empty_values_are_left_out_unless_they_are_wanted() -> None:
    headers = Headers()
    append("x", lambda _stream: "", "APPEND_IF_EXISTS_OR_ADD", keep_empty=False)(NOBODY, headers)
    append("y", lambda _stream: "", "APPEND_IF_EXISTS_OR_ADD", keep_empty=True)(NOBODY, headers)
    assert headers.pairs == [("y", "")]


def test_removals() -> None:
    headers = Headers([("a", "1"), ("b", "2"), ("a-b", "3"), ("a", "4")])
    remove("b")(NOBODY, headers)
    assert headers.pairs == [("a", "1"), ("a-b", "3"), ("a", "4")]
    remove_matching(lambda name: name.startswith("a-"))(NOBODY, headers)
    assert headers.pairs == [("a", "1"), ("a", "4")]


def test_what_envoy_holds_one_of_is_joined() -> None:
    headers = Headers([("user-agent", "a"), ("x", "1")])
    add_header(headers, "user-agent", "b")
    add_header(headers, "x", "2")
    add_header(headers, "via", "v")
    assert headers.pairs == [("user-agent", "a,b"), ("x", "1"), ("x", "2"), ("via", "v")]
