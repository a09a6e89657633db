import pytest

from meshproxy.http.urls import split_url


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("http://a", ("http", "a", "/")),
        ("HTTPS://A.b:443/x?y#z", ("https", "A.b:443", "/x?y#z")),
        ("http://u:p@a/", ("http", "a", "/")),
        ("http://a?x=/y", ("http", "a", "/?x=/y")),
        ("http://[::1]:80/", ("http", "[::1]:80", "/")),
        ("http://[::1]/", ("http", "[::1]", "/")),
        ("ftp://a/", ("ftp", "a", "/")),
        ("http://a:65535/", ("http", "a:65535", "/")),
        ("http://a:65536/", None),
        ("http://a:/", None),
        ("http://a_b/", None),
        ("http:///x", None),
        ("//a/x", None),
        ("/x", None),
        ("", None),
        ("http://a/ x", None),
        ("http://a/\n", None),
    ],
)
def test_absolute_urls(text: str, parts: tuple[str, str, str] | None) -> None:
    assert split_url(text) == parts
