"""What a manager does with requests, seen from the upstream and from the client. The expectations are Envoy 1.40's."""

from typing import Any

import pytest

from meshproxy.http.headers import Pair
from meshproxy.http.request_steps import check_path
from meshproxy.net.local_address import local_address
from meshproxy.testing import Bench, Message

XFF = "type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"
CUSTOM = "type.googleapis.com/envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig"
EARLY = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
HERE = local_address()


def seen(manager: dict[str, Any], *headers: Pair, path: str = "/", host: str = "a.com") -> Message:
    """What the upstream received; its x-request-id as <id> where it was made."""
    bench = Bench(manager=manager)
    bench.ask(path=path, headers=headers, host=host)
    (request,) = bench.requests
    given = dict(headers).get("x-request-id")
    request.headers = [
        (name, "<id>" if name == "x-request-id" and value != given else value) for name, value in request.headers
    ]
    return request


def test_a_plain_request_gets_two_headers() -> None:
    assert seen({}, ("x-a", "1")).headers == [("x-a", "1"), ("x-forwarded-proto", "http"), ("x-request-id", "<id>")]


def test_what_a_trusted_proxy_said_stays() -> None:
    told = [
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "abc"),
        ("referer", "http://a/"),
    ]
    assert seen({}, *told).headers == told


def test_the_order_of_everything_at_the_edge() -> None:
    manager = {"use_remote_address": True, "via": "ev", "add_user_agent": True, "append_x_forwarded_port": True}
    request = seen(
        manager, ("a", "1"), ("x-forwarded-proto", "https"), ("referer", "mailto:nobody"), ("x-request-id", "abc"),
        ("x-envoy-internal", "true"), ("via", "y"), ("x-envoy-retry-on", "5xx"), ("x-envoy-original-path", "/x"),
    )  # fmt: skip
    assert request.headers == [
        ("a", "1"), ("x-forwarded-proto", "http"), ("x-request-id", "<id>"), ("via", "y, ev"),
        ("x-forwarded-for", HERE), ("x-forwarded-port", "80"), ("x-envoy-downstream-service-cluster", ""),
        ("user-agent", ""), ("x-envoy-external-address", "127.0.0.1"),
    ]  # fmt: skip


def test_trusted_hops_at_the_edge() -> None:
    manager = {"use_remote_address": True, "xff_num_trusted_hops": 1, "skip_xff_append": True,
               "preserve_external_request_id": True}  # fmt: skip
    uuid = "28dde3ca-8788-958e-ada8-aa94c37aae0c"
    request = seen(manager, ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"), ("x-request-id", uuid))
    assert request.headers[:2] == [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")]
    assert request.header("x-envoy-external-address") == "1.2.3.4"


def test_internal_requests_keep_what_steers_the_router() -> None:
    manager = {"use_remote_address": True, "internal_address_config": {"cidr_ranges": [
        {"address_prefix": "127.0.0.0", "prefix_len": 8}]}}  # fmt: skip
    inside = seen(manager, ("x-envoy-ip-tags", "t"))
    assert inside.header("x-envoy-internal") == "true" and inside.header("x-envoy-ip-tags") == "t"
    assert inside.header("x-envoy-external-address") is None
    # With x-forwarded-for there was somebody in front: not from inside.
    outside = seen(manager, ("x-envoy-ip-tags", "t"), ("x-forwarded-for", "127.0.0.9"))
    assert outside.header("x-envoy-internal") is None and outside.header("x-envoy-ip-tags") is None


def detection(kind: str, **fields: Any) -> dict[str, Any]:
    return {"original_ip_detection_extensions": [{"name": "d", "typed_config": {"@type": kind, **fields}}]}


def test_detection_that_appends() -> None:
    request = seen(detection(XFF, xff_num_trusted_hops=1, skip_xff_append=False), ("x-forwarded-for", "1.2.3.4"))
    assert request.header("x-forwarded-for") == f"1.2.3.4,{HERE}"


def test_detection_that_refuses() -> None:
    bench = Bench(manager=detection(CUSTOM, header_name="X-IP", reject_with_status={"code": "Unauthorized"}))
    assert bench.ask().status == 401
    assert bench.streams[0].details == "rejecting_because_detection_failed"
    assert bench.ask(headers=[("x-ip", "1.2.3.4")]).status == 200
    assert bench.streams[1].peer == ("1.2.3.4", 0)
    assert bench.stats("http.bench")["downstream_rq_rejected_via_ip_detection"] == 1


def test_the_scheme() -> None:
    bench = Bench(manager={"scheme_header_transformation": {"scheme_to_overwrite": "https"}})
    bench.ask(headers=[("x-forwarded-proto", "ftp")])
    assert bench.streams[0].request.scheme == "https"
    assert bench.requests[0].header("x-forwarded-proto") == "https"
    bench = Bench()
    for proto in ("https", "ftp"):
        bench.ask(headers=[("x-forwarded-proto", proto)])
    assert [stream.request.scheme for stream in bench.streams] == ["https", "http"]


def test_early_mutations_see_the_request_as_it_came() -> None:
    mutation = {"append": {"header": {"key": "x-early", "value": "%REQ(x-envoy-retry-on)%"}}}
    extension = {"name": "e", "typed_config": {"@type": EARLY, "mutations": [mutation]}}
    request = seen({"early_header_mutation_extensions": [extension]}, ("x-envoy-retry-on", "5xx"))
    assert request.headers[0] == ("x-early", "5xx")


def test_hosts() -> None:
    assert seen({"strip_any_host_port": True, "strip_trailing_host_dot": True}, host="a.com.:81").host == "a.com"
    assert seen({"strip_matching_host_port": True}, host="a.com:80").host == "a.com"
    assert seen({"strip_matching_host_port": True}, host="a.com:81").host == "a.com:81"


@pytest.mark.parametrize(
    "path, manager, status, details",
    [
        ("/a#b", {}, 400, "path_normalization_failed"),
        ("/a%00", {"normalize_path": True}, 400, "path_normalization_failed"),
        ("/a%2fb", {"path_with_escaped_slashes_action": "REJECT_REQUEST"}, 400, "path_normalization_failed"),
        ("/a%2fb", {"path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT"}, 307, "path_normalization_failed"),
    ],
)
def test_paths_that_are_answered(path: str, manager: dict[str, Any], status: int, details: str) -> None:
    bench = Bench(manager=manager)
    answer = bench.ask(path=path)
    assert (answer.status, bench.streams[0].details, bench.requests) == (status, details, [])
    assert answer.header("location") == ("/a/b" if status == 307 else None)


def test_grpc_is_not_redirected() -> None:
    bench = Bench(manager={"path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT"})
    answer = bench.ask(path="/a%2fb", headers=[("content-type", "application/grpc")])
    assert (answer.status, answer.header("grpc-status")) == (200, "13")


def test_paths_that_go_on() -> None:
    manager = {
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
    }
    assert seen(manager, path="/a%2f%2E%2e//b/?x=//").path == "/b/?x=//"
    assert seen({}, path="/a/../b").path == "/a/../b"


def test_options_asterisk() -> None:
    bench = Bench()
    assert bench.ask("OPTIONS", "*").status == 404
    assert bench.streams[0].details == "absolute_path_rejected"
    assert bench.stats("http.bench")["downstream_rq_non_relative_path"] == 1


def test_fragments_may_be_stripped_by_runtime() -> None:
    bench = Bench()
    bench.http.request_steps = (check_path(bench.http.stats, lambda: False), *bench.http.request_steps[1:])
    bench.ask(path="/a#b")
    assert bench.requests[0].path == "/a"


def test_certificates_of_clients() -> None:
    assert seen({}, ("x-forwarded-client-cert", "By=x")).header("x-forwarded-client-cert") is None
    kept = seen({"forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}, ("x-forwarded-client-cert", "By=x"))
    assert kept.header("x-forwarded-client-cert") == "By=x"


def test_no_request_id() -> None:
    assert seen({"generate_request_id": False}).headers == [("x-forwarded-proto", "http")]
