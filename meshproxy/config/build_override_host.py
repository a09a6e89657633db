"""Endpoints that are named by others (envoy.extensions.load_balancing_policies.override_host.v3.OverrideHost)."""

from collections.abc import Callable
from typing import Any

from meshproxy.config.errors import ConfigError
from meshproxy.config.lb_scope import LbScope, MakeBalancer
from meshproxy.config.view import View
from meshproxy.http.headers import PSEUDO
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.path_match import fold_case
from meshproxy.upstream.balancers.override_host import Names, OverrideHost

FromExtension = Callable[[View, LbScope], MakeBalancer]


def override_host(view: View, scope: LbScope, from_extension: FromExtension) -> MakeBalancer:
    named = [_names(each) for each in view.override_host_sources]
    note = _note(view.selected_host_key) if view.selected_host_key else None
    with view.at("fallback_policy"):
        make = from_extension(view.fallback_policy, scope)
    return lambda: OverrideHost(make(), named, note)


def _names(view: View) -> Names:
    header = fold_case(wire_text(view.header))
    if not header and not view.metadata:
        raise ConfigError("Empty override source")
    if header and view.metadata:
        raise ConfigError("Only one override source must be set")
    return _in_header(header) if header else _in_metadata(*_path(view.metadata))


def _path(view: View) -> tuple[str, list[str]]:
    """envoy.type.metadata.v3.MetadataKey: the namespace, and the keys in it."""
    return wire_text(view.key), [wire_text(segment.key) for segment in view.path]


def _in_header(name: str) -> Names:
    attribute = PSEUDO.get(name)

    def names(stream: Any) -> str | None:
        request = stream.request
        if request is None:
            return None
        if attribute is not None:
            return str(getattr(request, attribute))
        return next(iter(request.get_all(name)), None) if name in request.index else None

    return names


def _in_metadata(namespace: str, path: list[str]) -> Names:
    def names(stream: Any) -> str | None:
        value: Any = stream.metadata.get(namespace) if stream.metadata else None
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, str) else None

    return names


def _note(view: View) -> Callable[[Any, str], None]:
    namespace, (first, *path) = _path(view)

    def note(stream: Any, address: str) -> None:
        value: Any = address
        for key in reversed(path):
            value = {key: value}
        stream.set_metadata(namespace, first, value)

    return note
