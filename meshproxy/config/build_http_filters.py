"""The chain of HTTP filters of an HTTP connection manager, and the router at its end."""

from collections.abc import Sequence

from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import find_extension
from meshproxy.config.types import message_class
from meshproxy.config.view import View
from meshproxy.http.filter import HttpFilter
from meshproxy.routing.unanswered import Unanswered

ROUTER = "envoy.extensions.filters.http.router.v3.Router"


def build_http_filters(views: Sequence[View], ctx: Context) -> tuple[list[HttpFilter], View]:
    """The filters in order without the terminal one, and the View of the router's configuration.

    Without filters one that never answers stands in front of a router that is never reached.
    """
    chain: list[HttpFilter] = []
    for i, view in enumerate(views):
        with view.at(""):
            kind = _type_of(view)
            if kind == ROUTER:
                return chain, _router(view, last=i == len(views) - 1)
            built = _build(view, kind, ctx)
        if built is not None:
            chain.append(built)
    if not views:
        return [Unanswered()], View(message_class(ROUTER)())
    name = views[-1].name
    raise ConfigError(f"non-terminal filter named {name} of type {kind} is the last filter in a http filter chain.")


def _router(view: View, last: bool) -> View:
    name = view.name
    if not last:
        raise ConfigError(
            f"terminal filter named {name} of type {ROUTER} must be the last filter in a http filter chain."
        )
    if view.disabled:
        view.reject("disabled", f"the last (terminal) filter ({name}) in the chain cannot be disabled by default.")
    view.ignore("is_optional", why="the router is known here")
    config: View = view.typed_config.unpack()
    return config


def _type_of(view: View) -> str:
    if view.which("config_type") == "config_discovery":
        view.reject("config_discovery", "not supported yet: filters are configured in place")
    if not view.typed_config:
        raise ConfigError(f"Didn't find a registered implementation for '{view.name}' with type URL: ''")
    return str(view.typed_config.type_name)


def _build(view: View, kind: str, ctx: Context) -> HttpFilter | None:
    name, disabled = view.name, view.disabled
    try:
        with view.at("typed_config"):
            cls = find_extension(kind)
    except ConfigError:
        if not view.is_optional:
            raise
        view.ignore("typed_config", why=f"the filter {kind} is unknown here, and is_optional")
        return None
    with view.at("typed_config"):
        built: HttpFilter | None = cls.build(view.typed_config.unpack(), ctx)
    if built is not None:
        built.name = name
        built.disabled = disabled
    return built
