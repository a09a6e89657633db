"""envoy.config.route.v3.RedirectAction."""

from meshproxy.config.build_rewrites import path_substitution, prefix_change
from meshproxy.config.view import View
from meshproxy.observe.formatter import Formatter, compile_format, wire_text
from meshproxy.routing.path_match import PathMatch
from meshproxy.routing.redirect import Redirect
from meshproxy.routing.rewrites import PathRewrite, rewrite_path

_CODES = {
    "MOVED_PERMANENTLY": 301,
    "FOUND": 302,
    "SEE_OTHER": 303,
    "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}


def build_redirect(view: View, match: PathMatch) -> Redirect:
    scheme = wire_text(view.scheme_redirect)
    if view.https_redirect:
        scheme = "https"
    kind = view.which("path_rewrite_specifier")
    rewrite: PathRewrite | None = None
    if kind == "prefix_rewrite" and view.prefix_rewrite:
        rewrite = rewrite_path(prefix_change(match, view.prefix_rewrite))
    elif kind == "regex_rewrite":
        with view.at("regex_rewrite"):
            rewrite = path_substitution(view.regex_rewrite)
    path: str | Formatter = wire_text(view.path_redirect)
    if kind == "path_rewrite":
        with view.at("path_rewrite"):
            path = compile_format(view.path_rewrite, empty="")
    return Redirect(
        _CODES[view.enum("response_code")],
        scheme=scheme,
        host=wire_text(view.host_redirect),
        port=f":{view.port_redirect}" if view.port_redirect else "",
        path=path,
        rewrite=rewrite,
        strip_query=view.strip_query,
    )
