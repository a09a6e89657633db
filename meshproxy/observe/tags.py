"""Tags: the parts of a stat's name that vary, taken out so that monitoring systems can group by them.

`cluster.reviews.upstream_rq_200` is `cluster.upstream_rq` with envoy.response_code=200, envoy.cluster_name=reviews.
Source: Envoy's well_known_names.cc (the default extractors and their order) and tag_producer_impl.cc.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from meshproxy.observe.ecmascript import compile_ecmascript

Tag = tuple[str, str]
# A name without its tags, and the tags.
Split = tuple[str, tuple[Tag, ...]]
# Where a tag was found: what to remove from the name (start, end), and its value.
Found = tuple[int, int, str]
Extract = Callable[[str], Found | None]

_VALUE = r"[^.]+"
_ADDRESS = r"(?:(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[[a-fA-F_\d]+\])_\d+)"
_OWNER = r"(?:listener|cluster)\..*?"

# In Envoy's order. A pattern in tokens: `$` is the value, `*` any one token, `**` any number of them.
# A regex: group 1 is what is removed, group 2 the value; the text that has to be in the name for it to be tried.
_DEFAULT_REGEXES: tuple[tuple[str, str, str], ...] = (
    ("envoy.response_code", r"_rq(_(\d{3}))$", "_rq_"),
    ("envoy.response_code_class", r"_rq_((\d))xx$", "_rq_"),
    ("envoy.ssl_cipher", r"^listener\..*?\.ssl\.ciphers(\.([\w-]+))$", ".ssl.ciphers."),
    ("envoy.ssl_curve", rf"^{_OWNER}\.ssl\.curves(\.([\w-]+))$", ".ssl.curves."),
    ("envoy.ssl_sigalg", rf"^{_OWNER}\.ssl\.sigalgs(\.([\w-]+))$", ".ssl.sigalgs."),
    ("envoy.ssl_version", rf"^{_OWNER}\.ssl\.versions(\.(TLSv\d\.\d))$", ".ssl.versions."),
    ("cipher_suite", rf"^cluster\.{_VALUE}\.ssl\.ciphers(\.([\w-]+))$", ".ssl.ciphers."),
    ("envoy.http_conn_manager_prefix", rf"^listener\..*?\.http\.(({_VALUE})\.)", ".http."),
    (
        "envoy.worker_id",
        rf"^(?:listener\.(?:{_ADDRESS}|{_VALUE})\.|server\.|listener_manager\.|thread_local_cluster_manager\.)"
        r"worker_((\d+)\.)",
        "",
    ),
    ("envoy.listener_address", rf"^listener\.(({_ADDRESS}|(?!admin\.){_VALUE})\.)", ""),
    ("envoy.rds_route_config", rf"^http\.{_VALUE}\.rds\.(([\w.-]+)\.)\w+?$", ".rds."),
    ("envoy.proxy_protocol_prefix", rf"^proxy_proto\.(({_VALUE})\.)(?:versions\.v\d\.)?\w+$", ""),
    ("envoy.proxy_protocol_version", rf"^proxy_proto\.(?:{_VALUE}\.)?(versions\.v(\d)\.)\w+$", ".versions."),
    ("envoy.rbac_policy_name", rf"^http\.{_VALUE}\.rbac\.(?:{_VALUE}\.)?policy\.(({_VALUE})\.)", ".policy."),
    ("envoy.rbac_http_prefix", rf"^http\.{_VALUE}\.rbac\.(?!policy\.)(({_VALUE})\.)", ".rbac."),
    ("envoy.rbac_prefix", rf"^((?!http\.)({_VALUE})\.)rbac\.", ".rbac."),
)
_DEFAULT_TOKENS: tuple[tuple[str, str], ...] = (
    ("envoy.grpc_bridge_method", "cluster.*.grpc.*.$.**"),
    ("envoy.http_user_agent", "http.*.user_agent.$.**"),
    ("envoy.virtual_cluster", "vhost.*.vcluster.$.**"),
    ("envoy.fault_downstream_cluster", "http.*.fault.$.**"),
    ("envoy.grpc_bridge_service", "cluster.*.grpc.$.**"),
    ("envoy.tcp_prefix", "tcp.$.**"),
    ("envoy.udp_prefix", "udp.$.**"),
    ("envoy.clientssl_prefix", "auth.clientssl.$.**"),
    ("envoy.ratelimit_prefix", "ratelimit.$.**"),
    ("envoy.cluster_name", "cluster.$.**"),
    ("envoy.ext_authz_prefix", "cluster.*.ext_authz.$.**"),
    ("envoy.ext_authz_prefix", "http.*.ext_authz.$.**"),
    ("envoy.http_conn_manager_prefix", "http.$.**"),
    ("envoy.virtual_host", "vhost.$.**"),
    ("envoy.route", "vhost.*.route.$.**"),
    ("envoy.local_http_ratelimit_prefix", "$.http_local_rate_limit.**"),
    ("envoy.local_network_ratelimit_prefix", "local_rate_limit.$.**"),
    ("envoy.local_listener_ratelimit_prefix", "listener_local_ratelimit.$.**"),
    ("envoy.connection_limit_prefix", "connection_limit.$.**"),
    ("envoy.dns_filter_prefix", "dns_filter.$.**"),
)
# What the two patterns for codes need at the end of a name.
_CODE = re.compile(r"_rq_\d(?:\d\d|xx)$", re.ASCII)
_ENDPOINT = re.compile(r"cluster\..+?\.endpoint\.((\d+(?:\.\d+){3}|\[[a-fA-F_\d]+\])_(\d+)\.)\w+$", re.ASCII)
DEFAULT_NAMES = frozenset(name for name, *_ in (*_DEFAULT_REGEXES, *_DEFAULT_TOKENS))


class Extractor(NamedTuple):
    name: str
    extract: Extract
    # The first token that a name must have; "" for any.
    first: str
    # Whether every name has this tag.
    fixed: bool = False


class TagProducer:
    """Takes tags out of names: extractors without a first token before those with one, as Envoy orders them.

    Of several for one tag the first that finds something counts.
    """

    def __init__(self, custom: Sequence[Extractor] = (), use_defaults: bool = True) -> None:
        defaults = default_extractors() if use_defaults else []
        self._group = _Extractors([*defaults, *(each for each in custom if each.fixed)])
        self._custom = _Extractors([each for each in custom if not each.fixed])
        self._all = _Extractors([*defaults, *custom])

    def split(self, full: str) -> Split:
        """The name without its tags, and the tags in the order of their extractors."""
        return _split(full, self._all.of(full))

    def split_group(self, prefix: str, names: Iterable[str]) -> list[Split]:
        """The same for many names behind one prefix. By default they differ only where a name ends in a code."""
        begin = f"{prefix}." if prefix else ""
        bare, tags = _split(f"{begin}x", self._group.of(begin))
        head = bare[:-1]
        custom = self._custom.of(begin)
        found = []
        for name in names:
            full = begin + name
            if _CODE.search(name) or any(each.extract(full) is not None for each in custom):
                found.append(self.split(full))
            else:
                found.append((head + name, tags))
        return found

def _split(full: str, extractors: Iterable[Extractor]) -> Split:
    tags: dict[str, str] = {}
    removed = []
    for each in extractors:
        if each.name not in tags and (found := each.extract(full)) is not None:
            start, end, value = found
            # Envoy keeps texts of stats in pieces between dots, and none that is empty at their end.
            tags[each.name] = value.rstrip(".")
            removed.append((start, end))
    kept = []
    place = 0
    # What two tags are taken out of may overlap.
    for start, end in sorted(removed):
        kept.append(full[place:start])
        place = max(place, end)
    return "".join([*kept, full[place:]]).rstrip("."), tuple(tags.items())


class _Extractors:
    """Extractors by the first token of the names that they look at."""

    def __init__(self, extractors: Iterable[Extractor]) -> None:
        self._everywhere = [each for each in extractors if not each.first]
        self._by_first: dict[str, list[Extractor]] = {}
        for each in extractors:
            if each.first:
                self._by_first.setdefault(each.first, []).append(each)

    def of(self, name: str) -> list[Extractor]:
        return [*self._everywhere, *self._by_first.get(name.partition(".")[0], ())]


def default_extractors(name: str = "") -> list[Extractor]:
    """All that Envoy has by default, or those of one tag."""
    found = [
        Extractor(tag, _by_regex(re.compile(regex, re.ASCII), inside), first_token(regex))
        for tag, regex, inside in _DEFAULT_REGEXES
    ]
    found += [
        Extractor(tag, _by_tokens(pattern), "" if pattern[0] == "$" else pattern.partition(".")[0])
        for tag, pattern in _DEFAULT_TOKENS
    ]
    if name:
        return [each for each in found if each.name == name]
    return [*found, Extractor("envoy.endpoint_address", _endpoint_address, "cluster")]


def _endpoint_address(full: str) -> Found | None:
    """Envoy gives this tag to what it counts of an endpoint, and no pattern; the port is behind a colon again."""
    match = _ENDPOINT.match(full)
    return match and (match.start(1), match.end(1), f"{match.group(2)}:{match.group(3)}")


def fixed_extractor(name: str, value: str) -> Extractor:
    """A tag that every name has, and that is taken out of none."""
    return Extractor(name.rstrip("."), lambda _full: (0, 0, value), "", fixed=True)


def custom_extractor(name: str, regex: str) -> Extractor:
    """A tag of `stats_tags`. Raises ValueError."""
    return Extractor(name.rstrip("."), _by_regex(compile_ecmascript(regex), ""), first_token(regex))


def first_token(regex: str) -> str:
    r"""`cluster` of `^cluster\.…`: names that begin with another token cannot match."""
    found = re.match(r"\^(\w+)(?=\\\.|\(\?=\\\.\))", regex)
    return found.group(1) if found else ""


def _by_regex(regex: re.Pattern[str], inside: str) -> Extract:
    def extract(full: str) -> Found | None:
        if inside and inside not in full:
            return None
        match = regex.search(full)
        if match is None or not match.re.groups or match.group(1) is None:
            return None
        value = match.group(2) if match.re.groups > 1 else None
        return match.start(1), match.end(1), match.group(1) if value is None else value

    return extract


def _by_tokens(pattern: str) -> Extract:
    """A pattern of tokens as a regex: the value goes with the dot behind it."""
    pieces = []
    tokens = pattern.split(".")
    for token in tokens[:-1]:
        pieces.append(r"(([^.]*)\.)" if token == "$" else r"[^.]*\." if token == "*" else re.escape(token) + r"\.")
    if tokens[-1] != "**":
        raise ValueError(f"a pattern ends in **: {pattern}")
    return _by_regex(re.compile("".join(["^", *pieces])), "")
