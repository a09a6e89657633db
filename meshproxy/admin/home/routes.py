"""The section of routes: which request goes where, in the order in which they are tried."""

from collections.abc import Iterator
from typing import Any

from meshproxy.admin.config_dump import inline_routes
from meshproxy.admin.home.html import EMPTY, Html, fill, join
from meshproxy.admin.home.links import cluster_link
from meshproxy.admin.home.overview import Overview
from meshproxy.admin.home.words import many
from meshproxy.admin.plain import plain

# More than that is nothing for a person: /config_dump has all of them.
_SHOWN = 200

_HEAD = """<section id="routes" aria-labelledby="routes-title">
<h2 id="routes-title">Routes</h2>
"""
_TABLE = """<table class="routes">
<caption>{name}</caption>
<thead><tr><th scope="col">Host</th><th scope="col">Request</th><th scope="col">Goes to</th></tr></thead>
<tbody>
"""
_ROW = """<tr>
<td data-label="Host">{domains}</td>
<th scope="row" data-label="Request">{match}</th>
<td data-label="Goes to">{action}</td>
</tr>
"""
Tree = dict[str, Any]


def routes(overview: Overview) -> Iterator[Html]:
    yield Html(_HEAD)
    left = 0
    for table in inline_routes(overview.server.bootstrap.static_resources.listeners):
        rows = [(host, route) for host in table.virtual_hosts for route in host.routes]
        yield fill(_TABLE, name=f"Routes {table.name}" if table.name else "Routes without a name")
        yield from (_route(list(host.domains), plain(route)) for host, route in rows[:_SHOWN])
        yield Html("</tbody></table>\n")
        left += max(0, len(rows) - _SHOWN)
    more = f"{many(left, 'more route')} not shown: " if left else ""
    link = Html('<a href="config_dump?resource=static_route_configs">As JSON</a>')
    yield fill('<p class="note">{more}{link}</p>\n</section>\n', more=more, link=link)


def _route(domains: list[str], route: Tree) -> Html:
    return fill(_ROW, domains=", ".join(domains), match=_match(route.get("match", {})), action=_action(route))


def _match(match: Tree) -> Html:
    """`prefix /api, header end-user is jason`"""
    parts: list[object] = [_path(match)]
    parts += [f"header {each['name']} {_value(each)}" for each in match.get("headers", ())]
    parts += [f"query {each['name']} {_value(each)}" for each in match.get("query_parameters", ())]
    if "grpc" in match:
        parts.append("gRPC")
    if "runtime_fraction" in match:
        parts.append("a share of them")
    return join(parts, ", ")


def _path(match: Tree) -> Html:
    if "connect_matcher" in match:
        return Html("CONNECT")
    for field, words in (("path", ""), ("prefix", "begins with"), ("path_separated_prefix", "below")):
        if field in match:
            return fill("{words} <code>{path}</code>", words=words, path=match[field])
    if "safe_regex" in match:
        return fill("matches <code>{regex}</code>", regex=match["safe_regex"].get("regex", ""))
    return fill("{words}", words="a template or matcher of its own" if "path_match_policy" in match else "any path")


def _value(matcher: Tree) -> str:
    """What a header or a query parameter has to be."""
    turned = "not " if matcher.get("invert_match") else ""
    string = matcher.get("string_match", matcher)
    for field, words in (("exact", "is"), ("exact_match", "is"), ("prefix", "begins with"), ("suffix", "ends with"),
                         ("contains", "contains")):  # fmt: skip
        if field in string:
            return f"{turned}{words} {string[field]}"
    if "safe_regex" in string:
        return f"{turned}matches {string['safe_regex'].get('regex', '')}"
    return f"{turned}is there" if matcher.get("present_match", True) else "is not there"


def _action(route: Tree) -> Html:
    if "redirect" in route:
        redirect = route["redirect"]
        target = redirect.get("path_redirect") or redirect.get("host_redirect") or redirect.get("prefix_rewrite")
        return fill("redirect {target}", target=f"to {target}" if target else "to https")
    if "direct_response" in route:
        return fill("answered here: {status}", status=route["direct_response"].get("status"))
    if "route" not in route:
        return Html("answered by a filter")
    action = route["route"]
    more = [f"timeout {action['timeout']}"] if "timeout" in action else []
    more += ["retries"] if "retry_policy" in action else []
    note = fill(' <span class="note">{more}</span>', more=", ".join(more)) if more else EMPTY
    return fill("{clusters}{note}", clusters=_clusters(action), note=note)


def _clusters(action: Tree) -> Html:
    if "cluster" in action:
        return cluster_link(action["cluster"])
    if "weighted_clusters" in action:
        weights = [(each.get("name", ""), each.get("weight", 0)) for each in action["weighted_clusters"]["clusters"]]
        total = sum(weight for _, weight in weights) or 1
        shares = [(cluster_link(name), f"{round(weight * 100 / total)} %") for name, weight in weights]
        return join([fill("{link} {share}", link=link, share=share) for link, share in shares], ", ")
    return fill("the cluster named by header {name}", name=action.get("cluster_header", "of a plugin"))
