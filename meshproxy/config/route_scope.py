"""What a route inherits from its virtual host and its table."""

from dataclasses import dataclass

from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.routing.deadlines import Deadlines
from meshproxy.routing.edits import HeaderEdit
from meshproxy.routing.overrides import Overrides
from meshproxy.routing.plan import Plan


@dataclass(frozen=True, slots=True)
class Scope:
    """`request_edits`, `response_edits` and `overrides`: of the virtual host, then of the table."""

    ctx: Context
    deadlines: Deadlines
    validate_clusters: bool
    max_direct_body: int
    most_specific_wins: bool
    host_name: str
    request_edits: tuple[HeaderEdit, ...]
    response_edits: tuple[HeaderEdit, ...]
    overrides: tuple[Overrides, ...]
    # Of the virtual host; what a route says of the same goes before it.
    plan: Plan
    attempt_count_in_request: bool
    attempt_count_in_response: bool

    def in_order(self, own: HeaderEdit, outer: tuple[HeaderEdit, ...]) -> tuple[HeaderEdit, ...]:
        """A route's edits and those of the outer levels as they are applied: the last one wins."""
        edits = (own, *outer)
        return edits[::-1] if self.most_specific_wins else edits

    def check_cluster(self, name: str, kind: str = "cluster") -> None:
        """Refuses a cluster that does not exist, where that is asked; `kind`: what the error calls it."""
        if self.validate_clusters and name not in self.ctx.clusters.by_name:
            raise ConfigError(f"route: unknown {kind} '{name}'")


def reject_specifiers(view: View) -> None:
    """route_specifiers, which a route, a virtual host and a table may have, decide in place of what is built here."""
    if view.route_specifiers:
        view.reject("route_specifiers", "route specifiers are not supported")
