"""envoy.type.v3.TokenBucket."""

from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.net.token_bucket import SharedTokenBucket, TokenBucket


def build_token_bucket(view: View, ctx: Context) -> TokenBucket:
    """One bucket for the whole proxy, however many workers there are."""
    interval = view.get("fill_interval", 0.0)
    if interval < 0.05:
        raise ConfigError("local rate limit token bucket fill timer must be >= 50ms")
    values = (view.max_tokens, view.get("tokens_per_fill", 1), interval, ctx.loop.time)
    numbers = ctx.counts.numbers
    return TokenBucket(*values) if numbers is None else SharedTokenBucket(*values, numbers)
