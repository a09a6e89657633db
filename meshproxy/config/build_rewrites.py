"""What a route makes of path and host: prefix, regex and template rewrites, and the host_rewrite_* forms."""

from collections.abc import Callable

from meshproxy.config.build_matchers import header_getter
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.regex import compile_regex
from meshproxy.config.view import View
from meshproxy.observe.formatter import compile_format, wire_text
from meshproxy.routing.path_match import TEST, PathMatch, without_query
from meshproxy.routing.rewrites import (
    HostRewrite,
    PathChange,
    PathRewrite,
    replace_path,
    replace_prefix,
    rewrite_path,
)
from meshproxy.routing.uri_template import UriTemplate, UriTemplateRewrite

_URI_TEMPLATE_REWRITE = "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig"


def build_path_rewrite(view: View, match: PathMatch, template: UriTemplate | None) -> PathRewrite | None:
    """The rewrite of a RouteAction, at most one."""
    set_fields = [name for name in ("prefix_rewrite", "path_rewrite") if getattr(view, name)]
    set_fields += [name for name in ("regex_rewrite", "path_rewrite_policy") if view.has(name)]
    if len(set_fields) > 1:
        raise ConfigError("Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy")
    if not set_fields:
        return None
    field = set_fields[0]
    with view.at(field):
        if field == "prefix_rewrite":
            if template is not None:
                raise ConfigError("Cannot use prefix_rewrite with matcher extension")
            return rewrite_path(prefix_change(match, view.prefix_rewrite))
        if field == "regex_rewrite":
            return path_substitution(view.regex_rewrite)
        if field == "path_rewrite":
            write = compile_format(view.path_rewrite, empty="")
            return rewrite_path(lambda stream, _path: write(stream) or None)
        return rewrite_path(_template_change(view.path_rewrite_policy, template))


def prefix_change(match: PathMatch, text: str) -> PathChange:
    """`text` in place of what the route matched: its prefix or exact path, or else the whole path."""
    text = wire_text(text)
    return replace_path(text) if match.kind == TEST else replace_prefix(match.text, match.fold, text)


def build_substitution(view: View) -> Callable[[str], str]:
    """envoy.type.matcher.v3.RegexMatchAndSubstitute: every match is replaced; \\1 stands for a group."""
    view.pattern.ignore("google_re2", why="RE2 is the only engine, and its program size has no limit here")
    with view.at("pattern"):
        pattern = compile_regex(view.pattern.regex)
    substitution = view.substitution.encode()
    with view.at("substitution"):
        _check_groups(view.substitution, pattern.groups)

    def substitute(text: str) -> str:
        changed: bytes = pattern.sub(substitution, text.encode("latin-1"))
        return changed.decode("latin-1")

    return substitute


def path_substitution(view: View) -> PathRewrite:
    """regex_rewrite: the substitution on the path without its query."""
    substitute = build_substitution(view)
    return rewrite_path(lambda _stream, path: substitute(path))


def _check_groups(substitution: str, groups: int) -> None:
    position = 0
    while (position := substitution.find("\\", position)) >= 0:
        following = substitution[position + 1 : position + 2]
        if following.isascii() and following.isdigit():
            if int(following) > groups:
                raise ConfigError(f"there is no group {following}: the pattern has {groups}")
        elif following != "\\":
            raise ConfigError("a backslash stands before a digit or another backslash")
        position += 2


def _template_change(view: View, template: UriTemplate | None) -> PathChange:
    config = typed_config(view, _URI_TEMPLATE_REWRITE)
    if template is None:
        raise ConfigError("unable to use envoy.path.rewrite.uri_template without a uri_template path match")
    with config.at("path_template_rewrite"):
        return UriTemplateRewrite(wire_text(config.path_template_rewrite), template)


def build_host_rewrite(view: View) -> HostRewrite | None:
    """The host_rewrite_specifier of a RouteAction, but auto_host_rewrite, which the attempt does."""
    kind = view.which("host_rewrite_specifier")
    if kind in (None, "auto_host_rewrite"):
        return None
    append = view.append_x_forwarded_host
    with view.at(kind):
        if kind == "host_rewrite_literal":
            host = wire_text(view.host_rewrite_literal)
            return HostRewrite(lambda _stream: host, append)
        if kind == "host_rewrite_header":
            get = header_getter(view.host_rewrite_header)
            return HostRewrite(lambda stream: get(stream.request) or "", append)
        if kind == "host_rewrite_path_regex":
            change = build_substitution(view.host_rewrite_path_regex)
            return HostRewrite(lambda stream: change(without_query(stream.request.path)), append)
        return HostRewrite(compile_format(view.host_rewrite), append)
