"""Every flag has its sentence."""

import pytest

from meshproxy.observe.explain import explain, flag_text, meaning, seconds_text
from meshproxy.observe.failures import Failure
from meshproxy.observe.flags import LONG_FLAGS
from meshproxy.observe.meanings import MEANINGS


def test_every_flag_is_explained_and_no_other() -> None:
    assert set(MEANINGS) == set(LONG_FLAGS)


def full(flag: str) -> Failure:
    failure = Failure((flag,), 503, "edge", "reviews", "10.0.0.7:9080", "details{inner_part}", "")
    failure.client, failure.method, failure.path, failure.version, failure.elapsed = "10.9.9.9", "GET", "/a", "v2", 1.25
    failure.facts = {"timeout": 0.25, "attempts": 3, "healthy": 1, "total": 3, "wanted": "gone",
                     "limit": "max_requests", "most": 7}  # fmt: skip
    return failure


@pytest.mark.parametrize("flag", LONG_FLAGS)
def test_a_sentence_needs_nothing_and_leaves_no_gap(flag: str) -> None:
    """Neither where all is known nor where nothing is."""
    for failure in (full(flag), Failure((flag,), 0, "", "", "", "", "")):
        sentence = explain(failure)
        assert sentence[0].islower()
        assert not sentence.endswith((".", " "))
        assert "  " not in sentence
        assert not set("{}") & set(sentence)
        assert meaning(failure).look


@pytest.mark.parametrize(
    "flag, sentence",
    [
        ("UF", "could not connect to reviews v2 at 10.0.0.7:9080: inner part"),
        ("UT", "reviews v2 at 10.0.0.7:9080 did not answer within 250 ms"),
        ("UH", "cluster reviews has no endpoint that fits what is asked for, though 1 of 3 are healthy"),
        ("UO", "cluster reviews is at its limit: max_requests is 7"),
        ("UMSDR", "reviews v2 at 10.0.0.7:9080 was not done within 250 ms"),
        ("NC", "the route leads to cluster gone, which does not exist"),
        ("DC", "the client 10.9.9.9 went away after 1.2 s, before it had its whole answer from reviews v2 at "
               "10.0.0.7:9080"),
        ("RL", "a rate limit refused GET /a"),
        ("SI", "nothing moved between the client 10.9.9.9 and reviews v2 at 10.0.0.7:9080 for 250 ms"),
    ],
)  # fmt: skip
def test_sentences(flag: str, sentence: str) -> None:
    assert explain(full(flag)) == sentence


def failure(flags: str, details: str = "", reason: str = "", **facts: object) -> Failure:
    made = Failure(tuple(flags.split()), 503, "edge", "reviews", "", details, reason)
    made.facts = dict(facts)
    return made


def test_why_a_connection_could_not_be_made() -> None:
    begin = "could not connect to reviews: "
    timeout = "upstream_reset_before_response_started{connection_timeout}"
    assert explain(failure("UF", timeout, connect_timeout=0.25)) == f"{begin}no connection within 250 ms"
    refused = "delayed connect error: Connection refused|remote address:10.0.0.7:9080"
    assert explain(failure("UF", reason=refused)) == f"{begin}connection refused"
    assert explain(failure("UF", reason="failed to bind to 1.2.3.4:0: Cannot assign requested address")) == (
        f"{begin}failed to bind to 1.2.3.4:0: Cannot assign requested address"
    )


def test_several_flags_are_one_sentence() -> None:
    assert explain(failure("UF URX", reason="Connection refused", attempts=3)) == (
        "could not connect to reviews: connection refused, after 3 attempts"
    )
    delayed = failure("DI", "via_upstream")
    assert explain(delayed) == "reviews itself answered 503, after an injected delay"


@pytest.mark.parametrize(
    "healthy, total, words",
    [
        (0, 0, "no endpoints at all"),
        (0, 1, "one endpoint, which is not healthy"),
        (0, 3, "no healthy endpoint among 3"),
        (3, 3, "no endpoint that fits what is asked for, though 3 of 3 are healthy"),
    ],
)
def test_why_there_is_no_endpoint(healthy: int, total: int, words: str) -> None:
    assert explain(failure("UH", healthy=healthy, total=total)) == f"cluster reviews has {words}"


def test_endpoints_that_could_not_be_looked_up() -> None:
    assert explain(failure("UH", healthy=0, total=0, lookups_failed=2)) == (
        "cluster reviews has no endpoints: they could not be looked up"
    )


def test_a_route_that_names_no_cluster() -> None:
    assert explain(failure("NC", wanted="")) == (
        "the route leads to no cluster: what should name it is missing from the request"
    )


def test_a_connection_that_was_upgraded() -> None:
    ended = failure("UC", "upstream_reset_after_response_started{connection_termination}")
    assert explain(ended) == "reviews closed the connection in the middle of its answer"
    ended.status = 101
    assert explain(ended) == "reviews closed the connection that had been upgraded"


def test_a_header_is_named() -> None:
    details = "request_headers_failed_strict_check{x-envoy-max-retries}"
    assert explain(failure("IH", details)) == "the request has a header that makes no sense: x-envoy-max-retries"


def test_maintenance_is_not_a_limit() -> None:
    assert explain(failure("UO", "maintenance_mode")) == (
        "cluster reviews is at its limit: an operator turns requests away "
        "(runtime key upstream.maintenance_mode.reviews)"
    )


def test_without_a_flag() -> None:
    assert explain(failure("", "filter_failed")) == "this proxy answered 503: filter failed"
    assert flag_text(failure("")) == "5xx"
    assert flag_text(failure("UF URX")) == "UF,URX"


def test_seconds() -> None:
    assert [seconds_text(each) for each in (0.0004, 0.3, 1.5, 15.0, 119.96, 300)] == [
        "0 ms", "300 ms", "1.5 s", "15 s", "120 s", "5 min",
    ]  # fmt: skip


def test_what_went_wrong_comes_before_why_it_was_not_tried_again() -> None:
    used_up = failure("URX UF", reason="delayed connect error: Connection refused", attempts=3)
    assert explain(used_up) == "could not connect to reviews: connection refused, after 3 attempts"
    too_many = failure("UO UC")
    assert explain(too_many).endswith(", and cluster reviews had as many retries as it may have")
    assert explain(failure("UO")).startswith("cluster reviews is at its limit")
