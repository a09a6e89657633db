"""Operators on routes, metadata, filter state and the environment, and those that combine others."""

import os
from collections.abc import Callable
from typing import Any

from meshproxy.net.filter_state import StateObject
from meshproxy.observe.demand import DEMAND
from meshproxy.observe.json_text import wire_text
from meshproxy.observe.operators import (
    TABLE,
    Exchange,
    Getter,
    Operator,
    TypedText,
    Value,
    coded,
    nothing,
    operator,
    plain,
    text_of,
    truncate,
)

Source = Callable[[Exchange], dict[str, Any] | None]


def log_type(stream: Exchange) -> str:
    """Which moment is logged (envoy.data.accesslog.v3.AccessLogType)."""
    kind: str = stream.log_type
    return kind


def route_resolution_count(stream: Exchange) -> int:
    count: int = stream.route_look_ups
    return count


def route_resolution_time(_argument: str, _length: int | None) -> Getter:
    """Measured by managers that are built after a format has asked for it."""
    DEMAND.route_time = True
    return lambda stream: stream.route_time or 0 if route_resolution_count(stream) else None


plain("ROUTE_NAME", coded("None if (at := stream.route) is None else at.name or None"))
plain("ROUTE_RESOLUTION_COUNT", route_resolution_count)
TABLE["ROUTE_RESOLUTION_TIME_US"] = Operator(route_resolution_time)
plain("ACCESS_LOG_TYPE", log_type)
plain("VIRTUAL_CLUSTER_NAME", lambda stream: stream.virtual_cluster)
plain("LOCAL_REPLY_BODY", lambda stream: stream.local_reply_body)
# Nothing is traced here.
for _name in ("TRACE_ID", "SPAN_ID"):
    plain(_name, nothing, measured=False)


# Where each kind of metadata lies; every one of them may be absent.
SOURCES: dict[str, Source] = {
    "DYNAMIC": lambda stream: stream.metadata,
    "CLUSTER": lambda stream: stream.cluster.metadata if stream.cluster is not None else None,
    "UPSTREAM_HOST": lambda stream: stream.endpoint.metadata if stream.endpoint is not None else None,
    "ROUTE": lambda stream: stream.route.metadata if stream.route is not None else None,
    "VIRTUAL_HOST": lambda stream: stream.virtual_host.metadata if stream.virtual_host is not None else None,
    "LISTENER": lambda stream: stream.connection.listener.metadata,
    "LISTENER_FILTER_CHAIN": lambda stream: stream.connection.chain.metadata if stream.connection.chain else None,
}


def metadata_value(source: Source, path: list[str], length: int | None) -> Getter:
    """What lies at `path`: the namespace, then keys of nested structs."""

    keys = [wire_text(key) for key in path]

    def get(stream: Exchange) -> Value:
        value: Any = source(stream)
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return None
            value = value[key]
        return value  # type: ignore[no-any-return]

    return truncate(get, length)


@operator("DYNAMIC_METADATA", argument="required", length=True)
def dynamic_metadata(argument: str, length: int | None) -> Getter:
    return metadata_value(SOURCES["DYNAMIC"], argument.split(":"), length)


@operator("CLUSTER_METADATA", argument="required")
def cluster_metadata(argument: str, length: int | None) -> Getter:
    return metadata_value(SOURCES["CLUSTER"], argument.split(":"), length)


@operator("UPSTREAM_METADATA", argument="required")
def upstream_metadata(argument: str, length: int | None) -> Getter:
    return metadata_value(SOURCES["UPSTREAM_HOST"], argument.split(":"), length)


@operator("METADATA", argument="optional", length=True)
def metadata(argument: str, length: int | None) -> Getter:
    """`TYPE:namespace:key...`."""
    kind, *path = argument.split(":")
    if kind not in SOURCES:
        raise ValueError(f"{kind} is not supported type of metadata")
    return metadata_value(SOURCES[kind], path or [""], length)


@operator("FILTER_STATE", argument="optional", length=True)
def filter_state(argument: str, length: int | None) -> Getter:
    """`key:PLAIN`, `key:TYPED` (the default: text in quotes, as JSON) or `key:FIELD:name`."""
    key, *how = argument.split(":")
    if not key:
        raise ValueError("Invalid filter state configuration, key cannot be empty.")
    kind = how[0] if how else "TYPED"
    if kind not in ("PLAIN", "TYPED", "FIELD"):
        raise ValueError("Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.")
    if (kind == "FIELD") != (len(how) > 1):
        raise ValueError("Invalid filter state serialize type, FIELD should be used with the field name.")
    field = how[1] if kind == "FIELD" else ""
    if kind == "FIELD" and not field:
        raise ValueError("Invalid filter state serialize type, FIELD should be used with the field name.")

    def get(stream: Exchange) -> Value:
        for state in (stream.filter_state, stream.connection.filter_state):
            if state is not None and key in state:
                value = state[key]
                if isinstance(value, StateObject):
                    value = None if field else value.text if kind == "PLAIN" else value.tree
                elif field:
                    value = value.get(field) if isinstance(value, dict) else None
                elif kind == "PLAIN":
                    value = text_of(value)
                elif isinstance(value, str):
                    value = TypedText(value)
                return value  # type: ignore[no-any-return]
        return None

    # A typed value is cut where it becomes text.
    return get if kind == "TYPED" else truncate(get, length)


@operator("UPSTREAM_FILTER_STATE", argument="optional", length=True)
def upstream_filter_state(argument: str, length: int | None) -> Getter:
    filter_state(argument, length)
    return nothing


@operator("ENVIRONMENT", argument="required", length=True)
def environment(argument: str, length: int | None) -> Getter:
    """Read once, when the configuration arrives."""
    value = os.fsencode(os.environ.get(argument, "-")).decode("latin-1")[:length]
    return lambda _stream: value
