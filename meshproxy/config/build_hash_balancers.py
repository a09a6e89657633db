"""Ring hash and Maglev: as extensions, and as the older lb_policy with its fields."""

from collections.abc import Callable
from typing import NamedTuple

from meshproxy.config.build_hash_policy import build_hash_policy
from meshproxy.config.lb_scope import LbScope, MakeBalancer
from meshproxy.config.view import View
from meshproxy.upstream.balancers.hash_keys import murmur_hash_2, xx_hash
from meshproxy.upstream.balancers.maglev import TABLE_SIZE, Maglev, MaglevStats
from meshproxy.upstream.balancers.ring_hash import RingHash, RingStats
from meshproxy.upstream.hash_balancer import HashBalancer, Hashing, HashPolicy

_MAX_RING = 8 * 1024 * 1024


class _Common(NamedTuple):
    """What both have; balance in percent, 0 for none. hashing: None where the route says what is hashed."""

    by_hostname: bool
    balance: int
    locality_weighted: bool
    hashing: Hashing | None = None


def old_ring_hash(view: View, common: View, scope: LbScope) -> MakeBalancer:
    return _ring_hash(view, _old_common(common), scope)


def ring_hash(view: View, scope: LbScope) -> MakeBalancer:
    older = (view.use_hostname_for_hashing, view.get("hash_balance_factor", 0))
    return _ring_hash(view, _common(view, *older), scope)


def old_maglev(view: View, common: View, scope: LbScope) -> MakeBalancer:
    return _maglev(view, _old_common(common), scope)


def maglev(view: View, scope: LbScope) -> MakeBalancer:
    return _maglev(view, _common(view), scope)


def _old_common(common: View) -> _Common:
    kind = common.which("locality_config_specifier")
    if kind == "zone_aware_lb_config":
        common.ignore(kind, why="balancers that hash do not route by zone")
    elif kind is not None:
        _ = bool(common.locality_weighted_lb_config)
    hashing = common.consistent_hashing_lb_config
    return _Common(
        hashing.use_hostname_for_hashing, hashing.get("hash_balance_factor", 0), kind == "locality_weighted_lb_config"
    )


def _common(view: View, by_hostname: bool = False, balance: int = 0) -> _Common:
    """by_hostname, balance: what older fields say, for which consistent_hashing_lb_config has newer ones."""
    weighted = view.has("locality_weighted_lb_config")
    hashing: Hashing | None = None
    if view.consistent_hashing_lb_config:
        newer = view.consistent_hashing_lb_config
        by_hostname, balance = newer.use_hostname_for_hashing, newer.get("hash_balance_factor", 0)
        with newer.at("hash_policy"):
            hashing = build_hash_policy(newer.hash_policy)
            if newer.hash_policy and hashing is None:
                hashing = _nothing
    return _Common(by_hostname, balance, weighted, hashing)


def _nothing(stream: object) -> int | None:
    """A policy that finds nothing to hash; the route's does not count either."""
    return None


def _ring_hash(view: View, common: _Common, scope: LbScope) -> MakeBalancer:
    least, most = view.get("minimum_ring_size", 1024), view.get("maximum_ring_size", _MAX_RING)
    if least > most:
        view.reject("minimum_ring_size", f"ring hash: minimum_ring_size ({least}) > maximum_ring_size ({most})")
    function = murmur_hash_2 if view.enum("hash_function") == "MURMUR_HASH_2" else xx_hash
    stats = RingStats()
    scope.groups["ring_hash_lb"] = stats
    return _balancers(
        scope, common, lambda: RingHash(stats, least, most, function, common.by_hostname, common.balance)
    )


def _maglev(view: View, common: _Common, scope: LbScope) -> MakeBalancer:
    size = view.get("table_size", TABLE_SIZE)
    if not _is_prime(size):
        view.reject("table_size", "The table size of maglev must be prime number")
    stats = MaglevStats()
    scope.groups["maglev_lb"] = stats
    return _balancers(scope, common, lambda: Maglev(stats, size, common.by_hostname, common.balance))


def _balancers(scope: LbScope, common: _Common, make: Callable[[], HashPolicy]) -> MakeBalancer:
    def build() -> HashBalancer:
        settings = scope.settings()
        settings.locality_weighted = common.locality_weighted
        balancer = HashBalancer(make(), scope.stats, settings)
        balancer.hashing = common.hashing
        return balancer

    return build


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % i for i in range(2, int(number**0.5) + 1))
