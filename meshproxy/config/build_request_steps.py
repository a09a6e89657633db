"""What an HTTP connection manager does with a request before its route is looked up (see http/request_steps.py)."""

from meshproxy.config.build_listen_addresses import build_networks
from meshproxy.config.build_mutations import build_mutations
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.downstream.http_stats import HttpStats
from meshproxy.http import client_cert
from meshproxy.http import request_steps as steps
from meshproxy.http.client_address import Detection, Ranges, custom_header, forwarded_for, forwarded_past
from meshproxy.http.filter import LocalReply
from meshproxy.http.request_steps import Step
from meshproxy.net.local_address import local_address
from meshproxy.net.runtime import Fraction
from meshproxy.routing.path_match import fold_case

# What the steps of every manager look at, besides the headers that they remove.
_LOOKED_AT = frozenset({"referer", "x-forwarded-for", "x-forwarded-proto", "x-request-id"})
_XFF = "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"
_CUSTOM_HEADER = "envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig"
_EARLY_MUTATION = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
_UUID = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"
# Asked once, when the manager is built, as Envoy does.
_NORMALIZE = Fraction(0, 100, "http_connection_manager.normalize_path")


def build_request_steps(view: View, ctx: Context, stats: HttpStats, internal_only: frozenset[str]) -> tuple[Step, ...]:
    """All of them in Envoy's order. `internal_only`: RouteConfiguration.internal_only_headers."""
    before = [*build_second_steps(view, ctx, stats), *_early_mutations(view, ctx)]
    edge = bool(view.get("use_remote_address", False))
    internal = build_networks(view.internal_address_config.cidr_ranges)
    unix_internal = bool(view.internal_address_config.unix_sockets)
    may_trust = bool(internal) or unix_internal
    external = steps.INTERNAL | internal_only | (steps.EDGE if edge else frozenset())
    removed = steps.ALWAYS_REMOVED | _client_cert_headers(view)
    if not may_trust:
        removed |= external
    chain = [
        steps.remove_headers(removed),
        *_address_steps(view, ctx, stats, edge, may_trust),
        steps.forwarded_proto(view.append_x_forwarded_port),
        *_scheme_steps(view),
        *([steps.judge_origin(Ranges(internal), unix_internal, external)] if may_trust else []),
        *_identity_steps(view, ctx),
        *([steps.external_address] if edge else []),
        *_request_id_steps(view, edge),
        *_client_cert_steps(view),
    ]
    ordinary = not view.append_x_forwarded_port and not view.original_ip_detection_extensions
    if ordinary and len(chain) == 4 and chain[3] is steps.make_request_id:
        # Only what every manager has.
        return (*before, steps.shortcut(chain, removed | _LOOKED_AT))
    return (*before, *chain)


def build_second_steps(view: View, ctx: Context, stats: HttpStats) -> tuple[Step, ...]:
    """What is done again with a request that an internal redirect has changed."""
    return (*_path_steps(view, ctx, stats), *_host_steps(view))


def _path_steps(view: View, ctx: Context, stats: HttpStats) -> list[Step]:
    boolean = ctx.runtime.boolean
    chain = [steps.check_path(stats, lambda: boolean("envoy.reloadable_features.http_reject_path_with_fragment", True))]
    slashes = view.enum("path_with_escaped_slashes_action")
    if slashes == "IMPLEMENTATION_SPECIFIC_DEFAULT":
        slashes = "KEEP_UNCHANGED"
    normalise = view.get("normalize_path", ctx.runtime.enabled(_NORMALIZE))
    if slashes != "KEEP_UNCHANGED" or normalise or view.merge_slashes:
        chain.append(steps.clean_path(stats, slashes, bool(normalise), view.merge_slashes))
    if view.path_normalization_options:
        view.reject("path_normalization_options", "not supported: use normalize_path and merge_slashes")
    return chain


def _host_steps(view: View) -> list[Step]:
    kind = view.which("strip_port_mode")
    anything = kind is not None and view.strip_any_host_port
    if view.strip_matching_host_port and anything:
        raise ConfigError("only one of strip_matching_host_port and strip_any_host_port may be set")
    port = "any" if anything else "matching" if view.strip_matching_host_port else ""
    if not port and not view.strip_trailing_host_dot:
        return []
    return [steps.clean_host(view.strip_trailing_host_dot, port)]


def _early_mutations(view: View, ctx: Context) -> list[Step]:
    chain = []
    for each in view.early_header_mutation_extensions:
        with view.at("early_header_mutation_extensions", each.name):
            config = each.typed_config
            if config.type_name != _EARLY_MUTATION:
                raise ConfigError(f"unsupported extension: {config.type_name}")
            chain.append(steps.mutate_early(build_mutations(config.unpack(), "mutations", ctx)))
    return chain


def _client_cert_headers(view: View) -> frozenset[str]:
    """x-forwarded-client-cert where it is taken away from everybody."""
    if view.forward_client_cert_matcher:
        view.reject("forward_client_cert_matcher", "not supported: use forward_client_cert_details")
    sanitized = view.enum("forward_client_cert_details") == "SANITIZE"
    return frozenset({client_cert.HEADER}) if sanitized else frozenset()


def _client_cert_steps(view: View) -> list[Step]:
    """What upstreams hear of the client's certificate."""
    how = view.enum("forward_client_cert_details")
    details = view.set_current_client_cert_details
    if how not in ("APPEND_FORWARD", "SANITIZE_SET"):
        if details:
            view.ignore("set_current_client_cert_details", why=f"nothing is told under {how}")
        return [client_cert.forward_only()] if how == "FORWARD_ONLY" else []
    told = tuple(name for name in ("cert", "chain", "subject", "uri", "dns", "issuer") if _asked(details, name))
    as_json = details.enum("format") == "JSON"
    return [client_cert.tell(told, append=how == "APPEND_FORWARD", as_json=as_json)]


def _asked(details: View, name: str) -> bool:
    return bool(details.get("subject", False) if name == "subject" else getattr(details, name))


def _address_steps(view: View, ctx: Context, stats: HttpStats, edge: bool, may_trust: bool) -> list[Step]:
    hops = view.xff_num_trusted_hops
    mapped = view.represent_ipv4_remote_address_as_ipv4_mapped_ipv6
    own = local_address(6 if ctx.options.get("local_address_ip_version") == "v6" else 4)
    extensions = view.original_ip_detection_extensions
    if edge:
        if extensions:
            view.reject("original_ip_detection_extensions", "cannot be set together with use_remote_address")
        append = not view.skip_xff_append
        return [steps.use_remote_address(hops, append, view.append_x_forwarded_port, own, mapped, may_trust)]
    if extensions and hops:
        view.reject("xff_num_trusted_hops", "cannot be set together with original_ip_detection_extensions")
    if view.skip_xff_append:
        view.ignore("skip_xff_append", why="it is for use_remote_address")
    if not extensions:
        return [steps.detect_forwarded(hops, may_trust)]
    detections: list[Detection] = []
    for each in extensions:
        with view.at("original_ip_detection_extensions", each.name):
            detections.append(_detection(each))
    return [steps.detect_address(detections, stats, own, mapped, may_trust)]


def _detection(view: View) -> Detection:
    config = view.typed_config
    if config.type_name == _XFF:
        return _forwarded_detection(config.unpack())
    if config.type_name == _CUSTOM_HEADER:
        header = config.unpack()
        reject = None
        if header.reject_with_status:
            code = header.reject_with_status.take().code
            reject = LocalReply(code if code >= 400 else 403, b"", "rejecting_because_detection_failed")
        name = fold_case(header.header_name)
        return custom_header(name, header.allow_extension_to_set_address_as_trusted, reject)
    raise ConfigError(f"unsupported extension: {config.type_name}")


def _forwarded_detection(view: View) -> Detection:
    append = not view.get("skip_xff_append", True)
    if not view.xff_trusted_cidrs:
        return forwarded_for(view.xff_num_trusted_hops, append)
    if view.xff_num_trusted_hops:
        view.reject("xff_trusted_cidrs", "Cannot set both xff_num_trusted_hops and xff_trusted_cidrs")
    return forwarded_past(Ranges(build_networks(view.xff_trusted_cidrs.cidrs)), append)


def _identity_steps(view: View, ctx: Context) -> list[Step]:
    """Who we are: add_user_agent and via."""
    chain = []
    if view.get("add_user_agent", False):
        chain.append(steps.add_user_agent(ctx.node.cluster, ctx.node.id))
    if view.via:
        chain.append(steps.append_via(view.via))
    return chain


def _scheme_steps(view: View) -> list[Step]:
    transformation = view.scheme_header_transformation
    scheme = transformation.scheme_to_overwrite
    if transformation.match_upstream:
        transformation.reject("match_upstream", "not supported: the scheme is that of the request")
    return [steps.overwrite_scheme(scheme)] if scheme else []


def _request_id_steps(view: View, edge: bool) -> list[Step]:
    reset_trace = True
    if view.request_id_extension:
        config = view.request_id_extension.typed_config
        if config.type_name != _UUID:
            view.reject("request_id_extension", f"unsupported extension: {config.type_name}")
        uuid = config.unpack()
        reset_trace = uuid.get("pack_trace_reason", True)
        uuid.ignore("use_request_id_for_trace_sampling", why="nothing is traced")
    preserve = view.preserve_external_request_id
    if not view.get("generate_request_id", True):
        return []
    return [steps.replace_request_id(preserve, reset_trace)] if edge else [steps.make_request_id]
