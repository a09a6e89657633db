"""envoy.config.route.v3.InternalRedirectPolicy, and the fields that were there before it."""

from collections.abc import Callable

from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.internal_redirects import (
    REDIRECTS,
    InternalRedirects,
    Predicate,
    as_state_says,
    to_named_routes,
    to_new_routes,
    to_safe_scheme,
)
from meshproxy.routing.path_match import fold_case

_PACKAGE = "envoy.extensions.internal_redirect"
_PREDICATES: dict[str, Callable[[View], Predicate]] = {
    f"{_PACKAGE}.allow_listed_routes.v3.AllowListedRoutesConfig": lambda config: to_named_routes(
        [wire_text(name) for name in config.allowed_route_names]
    ),
    f"{_PACKAGE}.filter_state.v3.FilterStateConfig": lambda config: as_state_says(
        config.redirect_enabled_key, config.redirect_if_absent
    ),
    f"{_PACKAGE}.previous_routes.v3.PreviousRoutesConfig": lambda _config: to_new_routes,
    f"{_PACKAGE}.safe_cross_scheme.v3.SafeCrossSchemeConfig": lambda _config: to_safe_scheme,
}


def build_internal_redirects(view: View) -> InternalRedirects | None:
    """What a RouteAction says of them; None where clients follow redirects themselves."""
    handled = view.enum("internal_redirect_action") == "HANDLE_INTERNAL_REDIRECT"
    most = view.get("max_internal_redirects", 1)
    if not view.internal_redirect_policy:
        return InternalRedirects(most=most) if handled else None
    policy = view.internal_redirect_policy
    with view.at("internal_redirect_policy"):
        predicates = []
        for i, each in enumerate(policy.predicates):
            with policy.at("predicates", i):
                config = typed_config(each, *_PREDICATES)
                predicates.append(_PREDICATES[config.type_name](config))
        copied = [fold_case(wire_text(name)) for name in policy.response_headers_to_copy]
        for name in copied:
            if name[:1] == ":" or name == "host":
                raise ConfigError(":-prefixed headers or Hosts may not be specified here.")
        return InternalRedirects(
            frozenset(policy.redirect_response_codes or (302,)) & REDIRECTS,
            policy.get("max_internal_redirects", 1),
            policy.allow_cross_scheme_redirect,
            predicates,
            copied,
        )
