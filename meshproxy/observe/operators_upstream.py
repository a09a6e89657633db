"""Operators on the upstream side of an exchange."""


from meshproxy.net.connection import address_text
from meshproxy.observe.operators import Exchange, Getter, nothing, operator, plain
from meshproxy.observe.operators_connection import masked


def host(stream: Exchange) -> str | None:
    """The endpoint's address."""
    endpoint = stream.endpoint
    text: str | None = endpoint.address_text if endpoint is not None else None
    return text


def host_without_port(stream: Exchange) -> str | None:
    endpoint = stream.endpoint
    text: str | None = endpoint.address[0] if endpoint is not None else None
    return text


def port(stream: Exchange) -> int | None:
    endpoint = stream.endpoint
    number: int | None = endpoint.address[1] if endpoint is not None else None
    return number


def host_name(stream: Exchange) -> str | None:
    """The name from the configuration, or the address where it has none."""
    endpoint = stream.endpoint
    if endpoint is None:
        return None
    name: str = endpoint.hostname or endpoint.address_text
    return name


def host_name_without_port(stream: Exchange) -> str | None:
    endpoint = stream.endpoint
    if endpoint is None:
        return None
    name: str = endpoint.hostname or endpoint.address[0]
    return name


def cluster(stream: Exchange) -> str | None:
    """The name under which the cluster is observed (alt_stat_name)."""
    found = stream.cluster
    name: str | None = found.alt_stat_name if found is not None else None
    return name


def cluster_raw(stream: Exchange) -> str | None:
    found = stream.cluster
    name: str | None = found.name if found is not None else None
    return name


def local_address(stream: Exchange) -> str | None:
    address = stream.upstream_local
    return None if address is None else address_text(address)


@operator("UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", argument="optional")
def local_address_without_port(argument: str, _length: int | None) -> Getter:
    if argument.isascii() and argument.isdigit():
        return lambda stream: masked(stream.upstream_local[0], int(argument)) if stream.upstream_local else None
    return lambda stream: stream.upstream_local[0] if stream.upstream_local is not None else None


@operator("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", argument="optional")
def remote_address_without_port(argument: str, _length: int | None) -> Getter:
    if argument.isascii() and argument.isdigit():
        return lambda stream: masked(stream.endpoint.address[0], int(argument)) if stream.endpoint is not None else None
    return host_without_port


def protocol(stream: Exchange) -> str | None:
    return "HTTP/1.1" if stream.request is not None and stream.endpoint is not None else None


plain("UPSTREAM_HOST", host)
plain("UPSTREAM_REMOTE_ADDRESS", host)
plain("UPSTREAM_REMOTE_PORT", port)
plain("UPSTREAM_HOST_NAME", host_name)
plain("UPSTREAM_HOST_NAME_WITHOUT_PORT", host_name_without_port)
plain("UPSTREAM_CLUSTER", cluster)
plain("UPSTREAM_CLUSTER_RAW", cluster_raw)
plain("UPSTREAM_LOCAL_ADDRESS", local_address)
plain("UPSTREAM_LOCAL_PORT", lambda stream: stream.upstream_local[1] if stream.upstream_local is not None else None)
plain("UPSTREAM_TRANSPORT_FAILURE_REASON", lambda stream: stream.upstream_failure.replace(" ", "_") or None)
plain("UPSTREAM_REQUEST_ATTEMPT_COUNT", lambda stream: stream.attempts)
plain("UPSTREAM_PROTOCOL", protocol)
plain("UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID", lambda stream: "" if stream.endpoint is not None else None)

# What a TCP proxy sends to one side it has received from the other; below HTTP nothing counts.
plain("UPSTREAM_WIRE_BYTES_RECEIVED", lambda stream: stream.bytes_sent if stream.request is None else None)
plain("UPSTREAM_WIRE_BYTES_SENT", lambda stream: stream.bytes_received if stream.request is None else None)

# Of attempts before the last, and of the wire below HTTP: nothing here keeps them.
for _name in (
    "CONNECTION_ID", "CONNECTION_IDS_ATTEMPTED", "CONNECTION_POOL_READY_DURATION",
    "DECOMPRESSED_HEADER_BYTES_RECEIVED", "DECOMPRESSED_HEADER_BYTES_SENT", "DETECTED_CLOSE_TYPE",
    "HEADER_BYTES_RECEIVED", "HEADER_BYTES_SENT", "HOSTS_ATTEMPTED", "HOSTS_ATTEMPTED_WITHOUT_PORT",
    "HOST_NAMES_ATTEMPTED", "HOST_NAMES_ATTEMPTED_WITHOUT_PORT", "LOCAL_CLOSE_REASON",
):  # fmt: skip
    plain(f"UPSTREAM_{_name}", nothing, measured=False)
