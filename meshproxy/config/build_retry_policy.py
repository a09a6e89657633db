"""envoy.config.route.v3.RetryPolicy and HedgePolicy: what a route does beside its one plain try."""

from collections.abc import Callable
from typing import Any

from meshproxy.config.build_endpoints import metadata_of
from meshproxy.config.build_matchers import build_header_matcher
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.path_match import fold_case
from meshproxy.routing.retry_policy import HostPredicate, RetryPolicy

_RETRY = "envoy.extensions.retry"
_PREVIOUS_PRIORITIES = f"{_RETRY}.priority.previous_priorities.v3.PreviousPrioritiesConfig"


def build_retry_policy(view: View, ctx: Context) -> RetryPolicy:
    policy = RetryPolicy(view.retry_on, view.get("num_retries", 1))
    policy.per_try_timeout = whole_milliseconds(view.seconds("per_try_timeout", 0.0))
    policy.per_try_idle_timeout = whole_milliseconds(view.seconds("per_try_idle_timeout", 0.0))
    policy.retriable_status_codes = frozenset(view.retriable_status_codes)
    policy.retriable_headers = tuple(build_header_matcher(each, ctx) for each in view.retriable_headers)
    policy.request_headers = tuple(build_header_matcher(each, ctx) for each in view.retriable_request_headers)
    if view.retry_back_off:
        with view.at("retry_back_off"):
            _set_back_off(policy, view.retry_back_off)
    if view.rate_limited_retry_back_off:
        limited = view.rate_limited_retry_back_off
        policy.reset_headers = tuple(
            (fold_case(wire_text(header.name)), header.enum("format") == "UNIX_TIMESTAMP")
            for header in limited.reset_headers
        )
        policy.reset_max_interval = whole_milliseconds(limited.seconds("max_interval", 300.0))
    policy.host_attempts = view.host_selection_retry_max_attempts or 1
    predicates = []
    for i, each in enumerate(view.retry_host_predicate):
        with view.at("retry_host_predicate", i):
            predicates.append(_build_host_predicate(each))
    policy.host_predicates = tuple(predicates)
    if view.retry_priority:
        with view.at("retry_priority"):
            config = typed_config(view.retry_priority, _PREVIOUS_PRIORITIES)
            policy.priorities_after = config.update_frequency
    for i, each in enumerate(view.retry_options_predicates):
        with view.at("retry_options_predicates", i):
            typed_config(each)
    view.ignore("refresh_cluster_on_retry", why="a retry goes to the cluster that was chosen")
    policy.settle()
    return policy


def _set_back_off(policy: RetryPolicy, view: View) -> None:
    base = max(0.001, whole_milliseconds(view.base_interval))
    policy.base_interval = base
    if view.max_interval is not None:
        policy.max_interval = max(0.001, whole_milliseconds(view.max_interval))
        if policy.max_interval < base:
            raise ConfigError("retry_policy.max_interval must greater than or equal to the base_interval")


def _build_host_predicate(view: View) -> HostPredicate:
    build: dict[str, Callable[[Any], HostPredicate]] = {
        f"{_RETRY}.host.previous_hosts.v3.PreviousHostsPredicate": lambda _config: _tried_before,
        f"{_RETRY}.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate": lambda _config: _canary,
        f"{_RETRY}.host.omit_host_metadata.v3.OmitHostMetadataConfig": _omit_metadata,
    }
    config = typed_config(view, *build)
    return build[config.type_name](config)


def _tried_before(endpoint: Any, tried: list[Any]) -> bool:
    return endpoint in tried


def _canary(endpoint: Any, tried: list[Any]) -> bool:
    canary: bool = endpoint.canary
    return canary


def _omit_metadata(config: View) -> HostPredicate:
    """Endpoints with all of these values under envoy.lb; without any, none."""
    unwanted = metadata_of(config.metadata_match).get("envoy.lb", {})

    def refuses(endpoint: Any, tried: list[Any]) -> bool:
        values = endpoint.metadata.get("envoy.lb", {})
        return bool(unwanted) and all(values.get(key) == value for key, value in unwanted.items())

    return refuses


def whole_milliseconds(seconds: float | None) -> float:
    """Envoy counts whole milliseconds; the float may lie a little below one."""
    return int((seconds or 0.0) * 1000 + 1e-6) / 1000
