"""Headers that belong to one HTTP/1 connection and not to the message (RFC 9110 §7.6.1), as Envoy treats them."""

from collections.abc import Callable

from meshproxy.http.errors import CodecError
from meshproxy.http.h1_lines import lower_ascii
from meshproxy.http.headers import RequestHeaders

_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_UPGRADE_HOP = frozenset({"keep-alive", "proxy-connection", "transfer-encoding"})
# A client must not be able to take these away from the request.
_NOT_NOMINATED = frozenset({"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"})
_MAX_NOMINATED = 10
_MAX_TE = 256


def sanitize_request(request: RequestHeaders) -> bool:
    """Removes hop-by-hop headers and those that Connection names; an upgrade keeps its two and sets `protocol`.

    True where Connection names Host (which is no longer among the headers).
    """
    index = request.index
    connection = index.get("connection")
    upgrade = index.get("upgrade")
    tokens = [token.strip(" \t") for token in lower_ascii(connection or "").split(",")]
    if upgrade is not None and "upgrade" in tokens and lower_ascii(upgrade) != "h2c":
        request.protocol = lower_ascii(upgrade)
        request.remove_if(_UPGRADE_HOP)
        return False
    te = index.get("te")
    if connection is not None:
        _remove_nominated(request, [token for token in tokens if token])
    request.remove_if(_HOP)
    if te is not None:
        _keep_trailers_only(request, te)
    return "host" in tokens


def drop_upgrades(request: RequestHeaders, ignored: tuple[Callable[[str], bool], ...]) -> None:
    """Takes the upgrades that one of `ignored` matches out of the request, and the last one's word in Connection."""
    offered = [token.strip(" \t") for token in request.index["upgrade"].split(",")]
    kept = [token for token in offered if not any(matches(token) for matches in ignored)]
    if kept:
        request.set("upgrade", ",".join(kept))
        return
    request.remove("upgrade")
    tokens = [token.strip(" \t") for token in request.index.get("connection", "").split(",")]
    tokens = [token for token in tokens if token and lower_ascii(token) != "upgrade"]
    if tokens:
        request.set("connection", ",".join(tokens))
    else:
        request.remove("connection")


def _remove_nominated(request: RequestHeaders, tokens: list[str]) -> None:
    if len(tokens) > _MAX_NOMINATED:
        raise CodecError("http1.connection_header_rejected")
    for token in tokens:
        if token[0] == ":" or token in _NOT_NOMINATED:
            raise CodecError("http1.connection_header_rejected")
        if token != "te":
            request.remove(token)


def _keep_trailers_only(request: RequestHeaders, te: str) -> None:
    if len(te) > _MAX_TE:
        raise CodecError("http1.connection_header_rejected")
    if any(part.partition(";")[0].strip(" \t") == "trailers" for part in lower_ascii(te).split(",")):
        request.set("te", "trailers")
    else:
        request.remove("te")
