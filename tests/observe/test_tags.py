"""Tags and names without them, as Envoy 1.40 gives them for the same names."""

import pytest

from meshproxy.observe.tags import TagProducer, custom_extractor, default_extractors, fixed_extractor


@pytest.mark.parametrize(
    "name, bare, tags",
    [
        ("server.state", "server.state", {}),
        ("cluster.ok.upstream_cx_total", "cluster.upstream_cx_total", {"envoy.cluster_name": "ok"}),
        (
            "cluster.ok.external.upstream_rq_503",
            "cluster.external.upstream_rq",
            {"envoy.response_code": "503", "envoy.cluster_name": "ok"},
        ),
        (
            "http.ing.downstream_rq_2xx",
            "http.downstream_rq_xx",
            {"envoy.response_code_class": "2", "envoy.http_conn_manager_prefix": "ing"},
        ),
        (
            "listener.127.0.0.1_80.http.ing.downstream_rq_completed",
            "listener.http.downstream_rq_completed",
            {"envoy.http_conn_manager_prefix": "ing", "envoy.listener_address": "127.0.0.1_80"},
        ),
        (
            "listener.[__1]_80.worker_3.downstream_cx_total",
            "listener.worker_downstream_cx_total",
            {"envoy.worker_id": "3", "envoy.listener_address": "[__1]_80"},
        ),
        ("listener.admin.downstream_cx_total", "listener.admin.downstream_cx_total", {}),
        ("tcp.t.downstream_cx_total", "tcp.downstream_cx_total", {"envoy.tcp_prefix": "t"}),
        (
            "vhost.v.vcluster.c.upstream_rq_200",
            "vhost.vcluster.upstream_rq",
            {"envoy.response_code": "200", "envoy.virtual_cluster": "c", "envoy.virtual_host": "v"},
        ),
        (
            "vhost.v.route.r.upstream_rq_total",
            "vhost.route.upstream_rq_total",
            {"envoy.virtual_host": "v", "envoy.route": "r"},
        ),
        (
            "http.ing.rbac.p.policy.one.allowed",
            "http.rbac.policy.allowed",
            {"envoy.rbac_policy_name": "one", "envoy.rbac_http_prefix": "p", "envoy.http_conn_manager_prefix": "ing"},
        ),
        ("http.ing.rbac.shadow_denied", "http.rbac.shadow_denied", {"envoy.http_conn_manager_prefix": "ing"}),
        ("net.rbac.allowed", "rbac.allowed", {"envoy.rbac_prefix": "net"}),
        (
            "proxy_proto.p.versions.v2.found",
            "proxy_proto.found",
            {"envoy.proxy_protocol_prefix": "p", "envoy.proxy_protocol_version": "2"},
        ),
        (
            "lim.http_local_rate_limit.ok",
            "http_local_rate_limit.ok",
            {"envoy.local_http_ratelimit_prefix": "lim"},
        ),
        (
            "http.ing.ext_authz.p.ok",
            "http.ext_authz.ok",
            {"envoy.ext_authz_prefix": "p", "envoy.http_conn_manager_prefix": "ing"},
        ),
        (
            "http.ing.rds.my.routes.update_success",
            "http.rds.update_success",
            {"envoy.rds_route_config": "my.routes", "envoy.http_conn_manager_prefix": "ing"},
        ),
    ],
)
def test_defaults(name: str, bare: str, tags: dict[str, str]) -> None:
    assert TagProducer().split(name) == (bare, tuple(tags.items()))


def test_custom_tags_with_look_ahead_and_posix_classes() -> None:
    service = custom_extractor("service", r"^cluster(?=\.)(\.([[:alnum:]-]+)_v[[:digit:]])")
    producer = TagProducer([fixed_extractor("site", "here"), service], use_defaults=False)
    assert producer.split("cluster.reviews_v2.upstream_cx_total") == (
        "cluster.upstream_cx_total",
        (("site", "here"), ("service", "reviews")),
    )
    assert producer.split("listener.x_v1.a") == ("listener.x_v1.a", (("site", "here"),))


def test_names_with_dots_as_a_mesh_has_them() -> None:
    """A cluster's name ends at its first dot, unless a tag of the configuration says otherwise."""
    name = "cluster.outbound|80||reviews.default.svc.cluster.local.upstream_cx_total"
    cluster = custom_extractor("cluster_name", r"^cluster\.((.+?(\..+?\.svc\.cluster\.local)?)\.)")
    assert TagProducer().split(name)[1] == (("envoy.cluster_name", "outbound|80||reviews"),)
    assert TagProducer([cluster], use_defaults=False).split(name) == (
        "cluster.upstream_cx_total",
        (("cluster_name", "outbound|80||reviews.default.svc.cluster.local"),),
    )


def test_defaults_can_be_taken_one_by_one() -> None:
    producer = TagProducer(default_extractors("envoy.response_code"), use_defaults=False)
    assert producer.split("cluster.a.upstream_rq_200") == ("cluster.a.upstream_rq", (("envoy.response_code", "200"),))


def test_a_broken_regex_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid regex"):
        custom_extractor("x", "(a")
    with pytest.raises(ValueError, match="invalid character class name"):
        custom_extractor("x", "([[:nope:]])")


def test_tags_that_overlap_take_every_character_out_once() -> None:
    tags = TagProducer([custom_extractor("version", r"^cluster\.\w+-((v\d+)\.)")])
    assert tags.split("cluster.reviews-v2.membership_total") == (
        "cluster.membership_total", (("envoy.cluster_name", "reviews-v2"), ("version", "v2")),
    )  # fmt: skip


def test_fixed_tags_stand_among_those_without_a_first_token_and_the_first_of_a_name_counts() -> None:
    tags = TagProducer([
        fixed_extractor("a", "1"), custom_extractor("b", "(total)$"), fixed_extractor("c", "2"),
        fixed_extractor("a", "3"), fixed_extractor("envoy.cluster_name", "all"),
    ])  # fmt: skip
    assert tags.split("cluster.x.upstream_rq_200") == (
        "cluster.x.upstream_rq",
        (("envoy.response_code", "200"), ("a", "1"), ("c", "2"), ("envoy.cluster_name", "all")),
    )  # fmt: skip
    assert tags.split_group("cluster.x", ["rq_total"])[0][1] == (
        ("a", "1"), ("b", "total"), ("c", "2"), ("envoy.cluster_name", "all"),
    )  # fmt: skip


def test_no_text_of_a_stat_ends_in_a_dot() -> None:
    custom = [custom_extractor("v.", r"^cluster\.(v\d\.)"), custom_extractor("n", "(total)$")]
    tags = TagProducer(custom, use_defaults=False)
    assert tags.split("cluster.v1.total") == ("cluster", (("n", "total"), ("v", "v1")))
    assert tags.split_group("cluster.v1", ["x"]) == [("cluster.x", (("v", "v1"),))]
