"""envoy.config.metrics.v3.StatsConfig."""

from collections.abc import Callable, Sequence

from meshproxy.config.build_matchers import TextMatch, build_string_matcher
from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.observe.quantiles import DEFAULT_BUCKETS
from meshproxy.observe.stats_config import StatsConfig
from meshproxy.observe.tags import Extractor, TagProducer, custom_extractor, default_extractors, fixed_extractor


def build_stats_config(view: View, ctx: Context) -> StatsConfig:
    """`view`: the bootstrap's stats_config, also where it is not set. Adds the tags of the command line."""
    custom = [fixed_extractor(*text.split(":", 1)) for text in ctx.options.get("stats_tag", ())]
    for i, each in enumerate(view.stats_tags):
        with view.at("stats_tags", i):
            _read_tag(each, custom)
    tags = TagProducer(custom, view.get("use_all_default_tags", True))
    with view.at("stats_matcher"):
        accepts = _accepts(view.stats_matcher, ctx)
    return StatsConfig(tags, accepts, _bounds(view, ctx))


def _read_tag(view: View, custom: list[Extractor]) -> None:
    name = view.tag_name
    if not name:
        view.reject("tag_name", "tag_name cannot be empty")
    if view.which("tag_value") == "fixed_value":
        custom.append(fixed_extractor(name, view.fixed_value))
    elif view.regex:
        with view.at("regex"):
            custom.append(custom_extractor(name, view.regex))
    else:
        known = default_extractors(name)
        if not known:
            view.reject(
                "tag_name", f"No regex specified for tag specifier and no default regex for name: '{name}'"
            )
        custom.extend(known)


def _accepts(view: View, ctx: Context) -> Callable[[str], bool] | None:
    match view.which("stats_matcher"):
        case "reject_all":
            return (lambda _name: False) if view.reject_all else None
        case "exclusion_list":
            excluded = _patterns(view, "exclusion_list", ctx)
            return lambda name: not any(matches(name) for matches in excluded)
        case "inclusion_list":
            included = _patterns(view, "inclusion_list", ctx)
            return lambda name: any(matches(name) for matches in included)
    return None


def _patterns(view: View, name: str, ctx: Context) -> list[TextMatch]:
    patterns = []
    lists = getattr(view, name)
    for i, each in enumerate(lists.patterns):
        with lists.at("patterns", i):
            patterns.append(build_string_matcher(each, ctx))
    return patterns


def _bounds(view: View, ctx: Context) -> Callable[[str], Sequence[float]]:
    settings: list[tuple[TextMatch, tuple[float, ...]]] = []
    for i, each in enumerate(view.histogram_bucket_settings):
        with view.at("histogram_bucket_settings", i), each.at("match"):
            settings.append((build_string_matcher(each.match, ctx), tuple(sorted(set(each.buckets)))))
        each.ignore("bins", why="histograms have the bins of Envoy's default")
    if not settings:
        return lambda _name: DEFAULT_BUCKETS

    def bounds(name: str) -> Sequence[float]:
        for matches, limits in settings:
            if matches(name):
                return limits
        return DEFAULT_BUCKETS

    return bounds
