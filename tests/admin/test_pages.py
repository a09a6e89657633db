"""The pages, asked for over a socket. Texts are Envoy 1.40's."""

from collections.abc import Iterator
from http.client import IncompleteRead
from urllib.parse import quote

import pytest

from meshproxy.admin.pages import PAGES, Answer
from tests.admin.conftest import BOOTSTRAP, Client, Start


def test_ready(admin: Client) -> None:
    reply = admin("/ready")
    assert (reply.status, reply.text) == (200, "LIVE\n")
    assert reply.headers["content-type"] == "text/plain; charset=UTF-8"
    assert reply.headers["cache-control"] == "no-cache, max-age=0"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["server"] == "envoy"
    assert reply.headers["transfer-encoding"] == "chunked"


def test_not_ready_while_health_checks_fail(admin: Client) -> None:
    assert admin.post("/healthcheck/fail").text == "OK\n"
    reply = admin("/ready")
    assert (reply.status, reply.text) == (503, "DRAINING\n")
    assert admin.post("/healthcheck/ok").text == "OK\n"
    assert admin("/ready").status == 200


@pytest.mark.parametrize(
    "path", ["/quitquitquit", "/drain_listeners", "/logging", "/runtime_modify?a=b", "/reset_counters", "/reopen_logs"]
)
def test_what_changes_something_takes_no_get(admin: Client, path: str) -> None:
    reply = admin(path)
    assert (reply.status, reply.text) == (405, "Method GET not allowed, POST required.")
    assert admin.process.told == []


def test_unknown_path_shows_help(admin: Client) -> None:
    reply = admin("/foo")
    assert reply.status == 404
    assert reply.text.startswith("invalid path. admin commands are:\n  /: Admin home page\n")
    assert admin("/help").text == reply.text.removeprefix("invalid path. ")


def test_every_page_answers(admin: Client) -> None:
    for line in admin("/help").text.splitlines():
        if line.startswith("  /") and "(POST)" not in line:
            path = line.strip().partition(":")[0]
            assert admin(path).status in (200, 501), path


def test_a_page_that_fails_half_way_is_not_taken_for_whole(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[str]:
        yield "half"
        raise RuntimeError("no more")

    page = PAGES["/ready"]._replace(make=lambda _server, _request: Answer(broken()))
    monkeypatch.setitem(PAGES, "/ready", page)
    with pytest.raises((ConnectionError, IncompleteRead)):
        admin("/ready")


def test_what_the_process_is_told(admin: Client) -> None:
    assert admin.post("/drain_listeners?graceful&inboundonly").text == "OK\n"
    assert admin.post("/reopen_logs").text == "OK\n"
    assert admin.post("/quitquitquit").text == "OK\n"
    assert admin.process.told == [(True, False, True), "reopen", "quit"]


def test_reset_counters(admin: Client) -> None:
    admin.process.ctx.clusters.by_name["reviews"].stats.upstream_cx_total += 3
    assert "cluster.reviews.upstream_cx_total: 3\n" in admin("/stats?usedonly").text
    assert admin.post("/reset_counters").text == "OK\n"
    assert "cluster.reviews.upstream_cx_total: 0\n" in admin("/stats?usedonly").text


def test_stats(admin: Client) -> None:
    lines = admin("/stats?filter=^cluster.reviews.membership_t").text
    assert lines == "cluster.reviews.membership_total: 1\n"
    assert admin("/stats?filter=^cluster.reviews.membership_t&format=json").json == {
        "stats": [{"name": "cluster.reviews.membership_total", "value": 1}]
    }
    prometheus = admin("/stats/prometheus?filter=membership_total").text
    assert prometheus == (
        "# TYPE envoy_cluster_membership_total gauge\n"
        'envoy_cluster_membership_total{envoy_cluster_name="ratings"} 0\n'
        'envoy_cluster_membership_total{envoy_cluster_name="reviews"} 1\n'
    )
    assert admin("/stats?format=prometheus&filter=membership_total").text == prometheus
    inverted = admin("/stats?filter=reviews&invert_filter").text
    assert "reviews" not in inverted
    assert "ratings" in inverted


def test_stats_in_openmetrics(admin: Client) -> None:
    reply = admin("/stats/prometheus?filter=membership_total", accept="application/openmetrics-text; version=1.0.0")
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "query, answer",
    [
        ("type=x", "invalid &type= param"),
        ("filter=(", "Invalid re2 regex: missing ): ("),
        ("format=foo", "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n"),
        (
            "histogram_buckets=foo",
            "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n",
        ),
    ],
)
def test_stats_refuses_what_it_does_not_understand(admin: Client, query: str, answer: str) -> None:
    reply = admin(f"/stats?{query}")
    assert (reply.status, reply.text) == (400, answer)


def test_stats_config(start: Start) -> None:
    admin = start(
        BOOTSTRAP
        + """
stats_config:
  stats_matcher: {inclusion_list: {patterns: [{prefix: cluster.reviews.membership}]}}
  stats_tags: [{tag_name: what, regex: "^cluster\\\\.reviews\\\\.((membership)_)"}, {tag_name: site, fixed_value: x}]
"""
    )
    assert admin("/stats/prometheus?filter=total").text == (
        "# TYPE envoy_cluster_total gauge\n"
        'envoy_cluster_total{site="x",envoy_cluster_name="reviews",what="membership"} 1\n'
    )
    assert all(line.startswith("cluster.reviews.membership") for line in admin("/stats").text.splitlines())


def test_clusters(admin: Client) -> None:
    assert admin("/clusters?filter=reviews").text.splitlines()[:12] == [
        "reviews::observability_name::reviews",
        "reviews::default_priority::max_connections::1024",
        "reviews::default_priority::max_pending_requests::1024",
        "reviews::default_priority::max_requests::1024",
        "reviews::default_priority::max_retries::3",
        "reviews::high_priority::max_connections::1024",
        "reviews::high_priority::max_pending_requests::1024",
        "reviews::high_priority::max_requests::1024",
        "reviews::high_priority::max_retries::3",
        "reviews::added_via_api::false",
        "reviews::127.0.0.1:9080::cx_active::0",
        "reviews::127.0.0.1:9080::cx_connect_fail::0",
    ]
    assert "reviews::127.0.0.1:9080::health_flags::healthy\n" in admin("/clusters").text
    assert "ratings::default_priority::max_connections::5\n" in admin("/clusters").text
    assert admin("/clusters?filter=(").status == 400


def test_clusters_as_json(admin: Client) -> None:
    reviews, ratings = admin("/clusters?format=json").json["cluster_statuses"]
    (host,) = reviews["host_statuses"]
    assert host["address"] == {"socket_address": {"address": "127.0.0.1", "port_value": 9080}}
    assert host["stats"][0] == {"name": "cx_connect_fail"}
    assert host["stats"][-1] == {"type": "GAUGE", "name": "rq_pending_active"}
    assert host["health_status"] == {"eds_health_status": "HEALTHY"}
    assert host["locality"] == {"region": "r1", "zone": "z1"}
    assert (host["weight"], host["hostname"]) == (1, "one.local")
    assert "host_statuses" not in ratings
    assert ratings["circuit_breakers"]["thresholds"][0]["max_connections"] == 5


def test_listeners(admin: Client) -> None:
    assert admin("/listeners").text == "entry::127.0.0.1:0\n"
    assert admin("/listeners?format=json").json == {
        "listener_statuses": [
            {"name": "entry", "local_address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
        ]
    }


def test_runtime(admin: Client) -> None:
    assert admin("/runtime").json == {
        "layers": ["base", "admin"],
        "entries": {"a.b": {"layer_values": ["1", ""], "final_value": "1"}},
    }
    assert admin.post("/runtime_modify?a.b=5&c=foo").text == "OK\n"
    assert admin.post("/runtime_modify", "d=true", **FORM).text == "OK\n"
    assert admin("/runtime").json["entries"] == {
        "a.b": {"layer_values": ["1", "5"], "final_value": "5"},
        "c": {"layer_values": ["", "foo"], "final_value": "foo"},
        "d": {"layer_values": ["", "true"], "final_value": "true"},
    }
    assert admin.process.ctx.runtime.integer("a.b", 0) == 5
    assert admin.post("/runtime_modify?a.b=&c=").text == "OK\n"
    assert admin.process.ctx.runtime.integer("a.b", 0) == 1
    assert admin.post("/runtime_modify").status == 400


def test_runtime_without_a_layer_to_write_to(admin: Client) -> None:
    admin.process.ctx.runtime_layers.sources.pop()
    reply = admin.post("/runtime_modify?a=b")
    assert (reply.status, reply.text) == (503, "No admin layer specified")


def test_server_info(admin: Client) -> None:
    info = admin("/server_info").json
    assert (info["state"], info["hot_restart_version"]) == ("LIVE", "disabled")
    assert info["uptime_all_epochs"].endswith("s")
    assert info["command_line_options"]["drain_time"] == "600s"
    assert info["command_line_options"]["file_flush_interval"] == "10s"
    assert (info["node"]["id"], info["node"]["cluster"]) == ("me", "shop")


def test_what_is_secret_on_the_command_line_stays_there(admin: Client) -> None:
    key = "private_key: {inline_string: very private}"
    for secret in (key, key.replace("inline_string: very private", "inline_bytes: dmVyeSBwcml2YXRl")):
        text = f"static_resources: {{secrets: [{{name: a, tls_certificate: {{{secret}}}}}]}}"
        admin.process.options.config_yaml = text
        assert admin("/server_info").json["command_line_options"]["config_yaml"] == "[redacted]"
    admin.process.options.config_yaml = "{node: {id: a}}"
    assert admin("/server_info").json["command_line_options"]["config_yaml"] == "{node: {id: a}}"


def test_certs_memory_and_the_rest(admin: Client) -> None:
    assert admin("/certs").json == {"certificates": []}
    assert int(admin("/memory").json["total_physical_bytes"]) > 1_000_000
    assert admin("/init_dump").json == {}
    assert admin("/hot_restart_version").text == "disabled"


def test_home_lists_the_pages(admin: Client) -> None:
    reply = admin("/")
    assert reply.headers["content-type"] == "text/html; charset=UTF-8"
    assert '<a href="stats/prometheus">' in reply.text
    assert '<form action="quitquitquit" method="post"' in reply.text


def test_only_allowed_paths(start: Start) -> None:
    admin = start(BOOTSTRAP.replace("admin: {address", "admin: {allow_paths: [{exact: /ready}], address"))
    assert admin("/ready").status == 200
    refused = admin("/stats?filter=x")
    assert (refused.status, refused.text) == (403, "request to path /stats?filter=x not allowed")


def test_a_page_that_fails_does_not_take_others_with_it(admin: Client) -> None:
    admin.process.options = None  # type: ignore[assignment]
    assert admin("/server_info").status == 500
    assert admin("/ready").status == 200


FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_a_form_that_is_too_large(admin: Client) -> None:
    refused = admin.post("/runtime_modify", "a=" + "x" * (1024 * 1024), **FORM)
    assert (refused.status, refused.text) == (413, "the form is too large\n")
    assert admin("/ready").status == 200


def test_other_bodies_are_not_kept(admin: Client) -> None:
    assert admin.post("/runtime_modify?a=b", "x" * (4 * 1024 * 1024)).status == 200


def test_the_query_wins_over_the_form(admin: Client) -> None:
    assert admin.post("/runtime_modify?q=1", "f=1", **FORM).text == "OK\n"
    assert list(admin("/runtime").json["entries"]) == ["a.b", "q"]


def test_of_a_parameter_that_repeats_the_first_counts(admin: Client) -> None:
    assert "cluster_statuses" in admin("/clusters?format=json&format=text").json


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "POST"])
def test_any_method_asks(admin: Client, method: str) -> None:
    assert admin("/ready", method).text == "LIVE\n"


def test_head_has_no_body(admin: Client) -> None:
    reply = admin("/clusters", "HEAD")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("path", ["//ready", "/stats/../ready", "/r%65ady", "/./ready?x=y"])
def test_paths_are_normalised(admin: Client, path: str) -> None:
    assert admin(path).text == "LIVE\n"


def test_no_path_of_somebody_else(admin: Client) -> None:
    assert admin("http://127.0.0.1/ready").status == 404
    assert admin("/ready#x").status == 400


@pytest.mark.parametrize(
    "pattern, found",
    [
        ("^cluster.reviews.membership_(total|healthy)$", 2),
        ("s[.]membership_[th]", 4),
        (r"\Acluster\.reviews\.membership_total\z", 1),
        ("membership_(?-i)TOTAL", 0),
        ("(?i)membership_TOTAL", 2),
        ("[^\n]total_match", 2),
        ("reviews.*membership.*healthy", 1),
    ],
)
def test_a_filter_is_re2_for_each_name(admin: Client, pattern: str, found: int) -> None:
    shown = admin(f"/stats?filter={quote(pattern)}").text.splitlines()
    assert len(shown) == found
    others = admin(f"/stats?invert_filter&filter={quote(pattern)}&type=Gauges").text.splitlines()
    everything = admin("/stats?type=Gauges").text.splitlines()
    assert not set(shown) & set(others)
    assert len(others) + len([line for line in everything if line in shown]) == len(everything)


def test_stats_for_a_browser(admin: Client) -> None:
    reply = admin("/stats?format=html&filter=^cluster.reviews.membership_total$")
    assert reply.headers["content-type"] == "text/html; charset=UTF-8"
    assert "<pre>\ncluster.reviews.membership_total: 1\n</pre>" in reply.text
    assert "http-equiv='refresh'" in admin("/stats?format=active-html&filter=none").text
