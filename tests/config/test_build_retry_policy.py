"""Policies for further tries: what they are built into, and what is refused, in Envoy's words where it has some."""

import pytest

from meshproxy.config.errors import ConfigError
from meshproxy.routing.forward import Forward
from tests.routing.tables import build, stream

EXTENSIONS = "type.googleapis.com/envoy.extensions"


def forward(action: str, host: str = "") -> Forward:
    """A route's action; host: more fields of its virtual host."""
    line = f"{{match: {{prefix: /}}, route: {{cluster: origin, {action}}}}}"
    found = build(f"{{name: r, virtual_hosts: [{{name: v, domains: ['*'], {host} routes: [{line}]}}]}}").match(stream())
    assert found is not None and isinstance(found.action, Forward)
    return found.action


def test_a_route_goes_before_its_virtual_host() -> None:
    host = "retry_policy: {retry_on: 5xx, num_retries: 7, per_try_timeout: 1s}, per_request_buffer_limit_bytes: 3,"
    plan = forward("timeout: 5s", host).plan
    assert plan is not None and plan.retry is not None
    assert (plan.retry.num_retries, plan.per_try_timeout, plan.buffer_limit) == (7, 1.0, 3)
    own = forward("retry_policy: {retry_on: reset}", host).plan
    assert own is not None and own.retry is not None
    assert (own.retry.num_retries, own.per_try_timeout, own.buffer_limit) == (1, 0.0, 3)


def test_without_anything_there_is_no_plan() -> None:
    assert forward("timeout: 5s").plan is None
    assert forward("retry_policy: {num_retries: 7}").plan is None
    assert forward("retry_policy: {retry_on: nonsense}").plan is None
    assert forward("hedge_policy: {hedge_on_per_try_timeout: true}").plan is None


def test_defaults() -> None:
    plan = forward("retry_policy: {retry_on: 5xx}").plan
    assert plan is not None and plan.retry is not None
    policy = plan.retry
    assert (policy.num_retries, policy.host_attempts, policy.reset_max_interval) == (1, 1, 300.0)
    assert (policy.base_interval, policy.max_interval, plan.attended) == (None, None, False)


@pytest.mark.parametrize(
    ("timeout", "per_try", "hedge", "left", "told"),
    [
        ("5s", "1s", "false", 1.0, "1000"),
        ("5s", "5s", "false", 0.0, "5000"),
        ("5s", "9s", "false", 0.0, "5000"),
        ("0s", "9s", "false", 9.0, "9000"),
        ("0s", "0s", "false", 0.0, ""),
        ("5s", "1.0009s", "false", 1.0, "1000"),
        ("5s", "1s", "true", 1.0, "5000"),
    ],
)
def test_a_try_has_no_more_time_than_all(timeout: str, per_try: str, hedge: str, left: float, told: str) -> None:
    hedging = f"hedge_policy: {{hedge_on_per_try_timeout: {hedge}}}"
    action = forward(f"timeout: {timeout}, {hedging}, retry_policy: {{retry_on: 5xx, per_try_timeout: {per_try}}}")
    assert action.plan is not None
    assert (action.plan.per_try_timeout, action.expected_text) == (left, told)


def test_back_off() -> None:
    for given, base, most in (
        ("{base_interval: 0.0001s}", 0.001, None),
        ("{base_interval: 0.0001s, max_interval: 0.0002s}", 0.001, 0.001),
        ("{base_interval: 1s, max_interval: 2s}", 1.0, 2.0),
    ):
        plan = forward(f"retry_policy: {{retry_on: 5xx, retry_back_off: {given}}}").plan
        assert plan is not None and plan.retry is not None
        assert (plan.retry.base_interval, plan.retry.max_interval) == (base, most)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (
            "retry_policy: {retry_back_off: {base_interval: 2s, max_interval: 1s}}",
            "retry_policy.retry_back_off: retry_policy.max_interval must greater than or equal to the base_interval",
        ),
        (
            f"retry_policy: {{retry_host_predicate: [{{name: p, typed_config: {{'@type': {EXTENSIONS}.filters.http."
            "router.v3.Router}}]}",
            "retry_host_predicate[0]: Didn't find a registered implementation for 'p' with type URL: "
            "'envoy.extensions.filters.http.router.v3.Router'",
        ),
        ("retry_policy: {per_try_timeout: -1s}", "per_try_timeout: Invalid duration: Expected positive duration"),
        ("timeout: -1s", "timeout: Invalid duration: Expected positive duration"),
        (
            "internal_redirect_policy: {response_headers_to_copy: [':path']}",
            ":-prefixed headers or Hosts may not be specified here.",
        ),
        ("request_mirror_policies: [{cluster: none}]", "route: unknown shadow cluster 'none'"),
        (
            "request_mirror_policies: [{}]",
            "Exactly one of cluster or cluster_header in request mirror policy need to be specified",
        ),
        (
            "request_mirror_policies: [{cluster: origin, cluster_header: x}]",
            "Only one of cluster or cluster_header in request mirror policy can be specified",
        ),
    ],
)
def test_what_is_refused(action: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        forward(action)
    assert reason in str(refused.value)
