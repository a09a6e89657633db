"""Paths and hosts, as Envoy 1.40 leaves them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.http.paths import merge_slashes, normalise_path, strip_port, strip_trailing_dot, unescape_slashes

# Request path -> what Envoy's upstream received with normalize_path.
NORMAL = {
    "/": "/",
    "/a/../b": "/b",
    "/a/../../b": "/b",
    "/..": "/",
    "/.": "/",
    "/a/..": "/",
    "/a/.": "/a/",
    "/a/%2E%2e/b": "/b",
    "/a/%2e": "/a/",
    "/a/b/%2e%2E": "/a/",
    "/a%2e%2e/b": "/a../b",
    "/a/...": "/a/...",
    "/a/.b/..c/": "/a/.b/..c/",
    "/a\\..\\b": "/b",
    "/a/..\\b": "/b",
    "/a/%2e%2e%2fb": "/a/..%2fb",
    "/a%zz%4": "/a%zz%4",
    "/%": "/%",
    '/a<b>{}|^`"': "/a%3Cb%3E%7B%7D%7C%5E%60%22",
    "/x%e2%82%ac%2f%2F%3B": "/x%e2%82%ac%2f%2F%3B",
    "/a~%7E!%21": "/a~~!%21",
    "/%41%7e": "/A~",
    "/a?x=/../%41//": "/a?x=/../%41//",
    "/a//b/./": "/a//b/",
    # Dot segments with parameters are dot segments.
    "/a/..;x=1/b": "/b",
    "/a/.;/b": "/a/b",
    "/a/..;": "/",
    "/a/.;x": "/a/",
    "/a/b/..;../c": "/a/c",
    "/a/b/..;/../c": "/c",
    "/a/.;y=../c": "/a/c",
    "/a/;/b": "/a/;/b",
    "/a;x/b": "/a;x/b",
    "/a/...;x/b": "/a/...;x/b",
    "/a/..%3b/b": "/a/..%3b/b",
    "/a/%2e%2e;/b": "/a/..;/b",
}


@pytest.mark.parametrize("path", NORMAL)
def test_normal_paths(path: str) -> None:
    assert normalise_path(path) == NORMAL[path]


@pytest.mark.parametrize("path", ["/a%00", "/%00?x", "/a\0"])
def test_a_nul_cannot_be_normalised(path: str) -> None:
    assert normalise_path(path) is None


@given(st.text(st.sampled_from("/.%2e25Fabc;\\?x"), max_size=30))
def test_a_normal_path_never_climbs(rest: str) -> None:
    normal = normalise_path("/" + rest)
    assert normal is not None and normal[0] == "/"
    path = normal.partition("?")[0]
    assert not {"..", "."} & set(path.split("/")) and "\\" not in path


def test_the_memo_has_an_end() -> None:
    for number in range(10_000):
        assert normalise_path(f"/{number}/../x{number}") == f"/x{number}"


@pytest.mark.parametrize(
    "path, merged",
    [("/a//b", "/a/b"), ("//a///b//", "/a/b/"), ("/a?x=//", "/a?x=//"), ("//", "//"), ("/a/", "/a/")],
)
def test_merged_slashes(path: str, merged: str) -> None:
    assert merge_slashes(path) == merged


def test_unescaped_slashes() -> None:
    assert unescape_slashes("/a%2Fb%2fc%5Cd%5ce%41?%2F") == "/a/b/c\\d\\e%41?%2F"
    assert unescape_slashes("/plain?%2F") == "/plain?%2F"


@pytest.mark.parametrize(
    "host, stripped",
    [
        ("a.com", "a.com"),
        ("a.com:80", "a.com"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("a:x", "a:x"),
        ("a:", "a:"),
    ],
)
def test_ports_are_stripped(host: str, stripped: str) -> None:
    assert strip_port(host) == stripped


def test_only_the_matching_port() -> None:
    assert (strip_port("a:80", 80), strip_port("a:81", 80)) == ("a", "a:81")


@pytest.mark.parametrize(
    "host, stripped", [("a.com.", "a.com"), ("a.com.:80", "a.com:80"), ("a.com:80", "a.com:80"), ("a", "a")]
)
def test_the_trailing_dot(host: str, stripped: str) -> None:
    assert strip_trailing_dot(host) == stripped
