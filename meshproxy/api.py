"""Everything that a filter may import from meshproxy, and nothing else."""

from meshproxy.config.build_edits import build_header_value
from meshproxy.config.build_format import build_format
from meshproxy.config.build_grpc_service import build_grpc_service
from meshproxy.config.build_matchers import build_header_matchers, build_string_matcher
from meshproxy.config.build_mutations import build_mutations
from meshproxy.config.build_rate_limits import build_own_rate_limits
from meshproxy.config.build_rewrites import build_substitution
from meshproxy.config.build_route_match import build_fraction, build_percent
from meshproxy.config.build_token_bucket import build_token_bucket
from meshproxy.config.data_source import read_data_source
from meshproxy.config.errors import ConfigError
from meshproxy.config.structs import struct_dict, utf8, value_of, wire_struct, wire_value
from meshproxy.config.types import message_class
from meshproxy.downstream.connection_record import ConnectionRecord
from meshproxy.downstream.listener_filter import CLOSE, MORE, ListenerFilter, Look
from meshproxy.downstream.network_filter import Close, NetworkFilter, TerminalFilter, Verdict
from meshproxy.downstream.tcp_proxy import TCP_CLUSTER
from meshproxy.http.failures import grpc_status_of
from meshproxy.http.filter import HttpFilter, LocalReply, Outcome
from meshproxy.http.grpc import is_grpc
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders, read_header, write_header
from meshproxy.http.inline import add_header
from meshproxy.http.stream import Stream
from meshproxy.net.connection import Connection
from meshproxy.net.count import Count
from meshproxy.net.dial import SocketOptions
from meshproxy.net.filter_state import StateObject, kept_text
from meshproxy.net.randomness import source as random_source
from meshproxy.net.runtime import Fraction
from meshproxy.net.tasks import start_task
from meshproxy.net.tls_fingerprint import ja3, ja4
from meshproxy.net.tls_hello import NotTls, parse_client_hello
from meshproxy.net.token_bucket import Buckets, TokenBucket
from meshproxy.observe.formatter import compile_format, wire_text
from meshproxy.observe.stats import StatGroup
from meshproxy.routing.edits import HeaderEdit
from meshproxy.routing.path_match import fold_case
from meshproxy.routing.rate_limits import Allowance, Charge, Counted, Descriptor, RateLimit, charges, descriptors
from meshproxy.upstream.grpc_client import GrpcClient, GrpcError, GrpcStream

__all__ = [
    "CLOSE",
    "MORE",
    "TCP_CLUSTER",
    "Allowance",
    "Buckets",
    "Charge",
    "Close",
    "ConfigError",
    "Connection",
    "ConnectionRecord",
    "Count",
    "Counted",
    "Descriptor",
    "Fraction",
    "GrpcClient",
    "GrpcError",
    "GrpcStream",
    "HeaderEdit",
    "Headers",
    "HttpFilter",
    "ListenerFilter",
    "LocalReply",
    "Look",
    "NetworkFilter",
    "NotTls",
    "Outcome",
    "RateLimit",
    "RequestHeaders",
    "ResponseHeaders",
    "SocketOptions",
    "StatGroup",
    "StateObject",
    "Stream",
    "TerminalFilter",
    "TokenBucket",
    "Verdict",
    "add_header",
    "build_format",
    "build_fraction",
    "build_grpc_service",
    "build_header_matchers",
    "build_header_value",
    "build_mutations",
    "build_own_rate_limits",
    "build_percent",
    "build_string_matcher",
    "build_substitution",
    "build_token_bucket",
    "charges",
    "compile_format",
    "descriptors",
    "fold_case",
    "grpc_status_of",
    "is_grpc",
    "ja3",
    "ja4",
    "kept_text",
    "message_class",
    "parse_client_hello",
    "random_source",
    "read_data_source",
    "read_header",
    "start_task",
    "struct_dict",
    "utf8",
    "value_of",
    "wire_struct",
    "wire_text",
    "wire_value",
    "write_header",
]
