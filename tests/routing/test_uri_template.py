"""Paths by template; what is refused was asked of Envoy."""

import pytest

from meshproxy.routing.uri_template import UriTemplate, UriTemplateRewrite
from tests.routing.tables import stream


@pytest.mark.parametrize(
    ("template", "path", "taken"),
    [
        ("/users/{id}/posts/{post=**}", "/users/7/posts/a/b", {"id": "7", "post": "a/b"}),
        ("/users/{id}/posts/{post=**}", "/users/7/8/posts/a", None),
        ("/a/*/c", "/a/b/c", {}),
        ("/a/*/c", "/a/b/b/c", None),
        ("/a/*/c", "/a//c", None),
        ("/**.m3u8", "/x/y/z.m3u8", {}),
        ("/**.m3u8", "/x/y/z.m3u9", None),
        ("/*.x", "/a.x", {}),
        ("/{name}.x", "/a.x", {"name": "a"}),
        ("/{v=x/*/y}/z", "/x/1/y/z", {"v": "x/1/y"}),
        ("/{v=x/*/y}/z", "/x/1/2/y/z", None),
        ("/a.b", "/aXb", None),
        ("/", "/", {}),
        ("/**", "/", {}),
    ],
)
def test_match(template: str, path: str, taken: dict[str, str] | None) -> None:
    assert UriTemplate(template).match(path) == taken


@pytest.mark.parametrize(
    "template",
    ["a", "/a/{b", "/{b}/{b}", "/{1b}", "/{a}{b}", "/{a=**}/{b}", "/**/*", "/a//b", "/a?b", "/{a}/{b}/{c}/{d}/{e}/{f}",
     "/{abcdefghijklmnopq}", "/{a={b}}"],
)  # fmt: skip
def test_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid|Repeated|Exceeded|last operator"):
        UriTemplate(template)


@pytest.mark.parametrize("template", ["/**/a", "/**/", "/a*b", "/{a=*}*", "/{a=**}.x"])
def test_accepted(template: str) -> None:
    assert UriTemplate(template).text == template


def test_rewrite() -> None:
    template = UriTemplate("/users/{id}/posts/{post=**}")
    rewrite = UriTemplateRewrite("/p/{post}/u/{id}", template)
    assert rewrite(stream(), "/users/7/posts/a/b") == "/p/a/b/u/7"
    assert rewrite(stream(), "/elsewhere") is None


@pytest.mark.parametrize("rewrite", ["x", "/{a", "//a", "/a}"])
def test_rewrites_refused(rewrite: str) -> None:
    with pytest.raises(ValueError, match=f"path_rewrite_policy.path_template_rewrite {rewrite} is invalid"):
        UriTemplateRewrite(rewrite, UriTemplate("/x/{a}"))


def test_rewrites_name_variables_of_the_template() -> None:
    with pytest.raises(ValueError, match=r"mismatch between variables in path_match_policy /x/\{a\} and"):
        UriTemplateRewrite("/{z}", UriTemplate("/x/{a}"))
