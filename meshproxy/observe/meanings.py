"""What each of Envoy's response flags means, as a sentence, and where to look.

Source: Envoy's access log documentation, %RESPONSE_FLAGS%. explain.py fills in the names in braces.
"""

from typing import NamedTuple


class Meaning(NamedTuple):
    """`says`: the sentence. `look`: which part of the configuration decides about it. `also`: behind another flag."""

    says: str
    look: str
    also: str = ""


MEANINGS = {
    "LH": Meaning("the service behind this proxy failed its health check", "the health_check filter"),
    "UH": Meaning(
        "{cluster} has {healthy}",
        "load_assignment (its names, health_checks) and, where endpoints do not fit, metadata_match of the route",
    ),
    "UT": Meaning("{upstream} did not answer {within}", "timeout of the route (15 s unless it says otherwise)"),
    "LR": Meaning("this proxy reset its stream to {upstream}", "the limits of the cluster's connections"),
    "UR": Meaning("{upstream} reset the {connection}", "the log of that service: it ended by itself"),
    "UF": Meaning(
        "could not connect to {upstream}: {reason}", "whether it listens there; connect_timeout of the cluster"
    ),
    "UC": Meaning(
        "{upstream} closed the connection {when}",
        "the log of that service; an idle_timeout there that is shorter than the one of the cluster",
    ),
    "UO": Meaning(
        "{cluster} is at its limit: {limit}",
        "circuit_breakers of the cluster",
        also="and {cluster} had as many retries as it may have",
    ),
    "NR": Meaning("nothing is configured for {target}", "the domains and routes of the listener's route_config"),
    "DI": Meaning("a delay was injected on purpose", "the fault filter", also="after an injected delay"),
    "FI": Meaning("the fault filter answered {status}", "the fault filter", also="as the fault filter wanted"),
    "RL": Meaning("a rate limit refused {request}", "the rate limit filters", also="as a rate limit wanted"),
    "UAEX": Meaning("the authorization service refused {request}", "the ext_authz filter and the service that it asks"),
    "RLSE": Meaning("the rate limit service did not answer", "the ratelimit filter and the cluster of its service"),
    "DC": Meaning(
        "the client {client} went away after {elapsed}, before it had its whole answer{from_upstream}",
        "the timeout of the client",
        also="then the client went away",
    ),
    "URX": Meaning(
        "{upstream} failed at every attempt that is allowed",
        "num_retries of the retry_policy, max_connect_attempts of the TCP proxy",
        also="after {attempts}",
    ),
    "SI": Meaning(
        "nothing moved between the client {client} and {upstream} for {idle}",
        "stream_idle_timeout of the HTTP connection manager, idle_timeout of the route",
    ),
    "IH": Meaning("the request has a header that makes no sense: {detail}", "strict_check_headers of the router"),
    "DPE": Meaning("the client {client} does not speak proper HTTP: {words}", "the client; http_protocol_options"),
    "UMSDR": Meaning("{upstream} was not done {within}", "max_stream_duration of the cluster"),
    "RFCF": Meaning("the answer came from the cache", "the cache filter"),
    "NFCF": Meaning("the configuration of a filter has not arrived", "config_discovery of the filter, its xDS server"),
    "DT": Meaning(
        "the connection of the client {client} lasted {elapsed}, which is as long as it may",
        "max_downstream_connection_duration of the TCP proxy, max_connection_duration of the HTTP connection manager",
    ),
    "UPE": Meaning("{upstream} {spoke}", "whether that port speaks HTTP/1.1, and without TLS"),
    "NC": Meaning("the route leads to {wanted}", "the name in the route; /clusters"),
    "OM": Meaning("the overload manager ended {request}", "overload_manager of the bootstrap; memory and load here"),
    "DF": Meaning("the address of {cluster} could not be found: {reason}", "the host name in it; the DNS server"),
    "DO": Meaning("some requests to {cluster} are dropped on purpose", "drop_overloads of the load assignment"),
    "DR": Meaning("the client {client} took its request back after {elapsed}", "the timeout of the client"),
    "UDO": Meaning("all requests to {cluster} are dropped on purpose", "drop_overloads of the load assignment"),
}

# A 5xx without a flag, by its details (%RESPONSE_CODE_DETAILS%).
WITHOUT_FLAG = {
    "via_upstream": Meaning("{upstream} itself answered {status}", "the log of that service"),
    "direct_response": Meaning("the route answers {status}, as it is configured to", "direct_response of the route"),
    "overload": Meaning("this proxy is overloaded, and refused {request}", "overload_manager of the bootstrap"),
    "request_overall_timeout": Meaning(
        "the client {client} did not finish its request within {elapsed}",
        "request_timeout of the HTTP connection manager",
    ),
    "max_duration_timeout": Meaning(
        "the exchange with {upstream} took longer than it may: {elapsed}",
        "max_stream_duration of the route or of the HTTP connection manager",
    ),
}
OTHER = Meaning("this proxy answered {status}: {words}", "the log of this proxy")
