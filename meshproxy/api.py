"""Everything that a filter may import from meshproxy, and nothing else."""

from meshproxy.config.build_format import build_format
from meshproxy.config.build_token_bucket import build_token_bucket
from meshproxy.config.data_source import read_data_source
from meshproxy.downstream.connection_record import ConnectionRecord
from meshproxy.downstream.listener_filter import CLOSE, MORE, ListenerFilter, Look
from meshproxy.downstream.network_filter import Close, NetworkFilter, TerminalFilter, Verdict
from meshproxy.downstream.tcp_proxy import TCP_CLUSTER
from meshproxy.http.filter import HttpFilter, LocalReply, Outcome
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders, read_header, write_header
from meshproxy.http.stream import Stream
from meshproxy.net.connection import Connection
from meshproxy.net.tls_hello import NotTls, parse_client_hello
from meshproxy.net.token_bucket import TokenBucket
from meshproxy.observe.stats import StatGroup

__all__ = [
    "CLOSE",
    "MORE",
    "TCP_CLUSTER",
    "Close",
    "Connection",
    "ConnectionRecord",
    "Headers",
    "HttpFilter",
    "ListenerFilter",
    "LocalReply",
    "Look",
    "NetworkFilter",
    "NotTls",
    "Outcome",
    "RequestHeaders",
    "ResponseHeaders",
    "StatGroup",
    "Stream",
    "TerminalFilter",
    "TokenBucket",
    "Verdict",
    "build_format",
    "build_token_bucket",
    "parse_client_hello",
    "read_data_source",
    "read_header",
    "write_header",
]
