"""What a route or a virtual host says of further tries: policies for retries and hedging, and how much body is kept."""

from dataclasses import replace

from meshproxy.config.build_retry_policy import build_retry_policy
from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.routing.plan import Plan


def build_plan(action: View, holder: View, outer: Plan, ctx: Context) -> Plan:
    """action: RouteAction or VirtualHost, which have the policies. holder: Route or VirtualHost, which have the limits.

    `outer` is that of the virtual host: what is set here takes its place as a whole.
    """
    plan = replace(outer)
    if action.retry_policy:
        with action.at("retry_policy"):
            policy = plan.retry = build_retry_policy(action.retry_policy, ctx)
        plan.per_try_timeout = policy.per_try_timeout
        plan.per_try_idle_timeout = policy.per_try_idle_timeout
    action.ignore("retry_policy_typed_config", why="there is no such extension, in Envoy either")
    if action.hedge_policy:
        hedge = action.hedge_policy
        hedge.ignore("initial_requests", "additional_request_chance", why="nothing looks at it, in Envoy either")
        plan.hedge = hedge.hedge_on_per_try_timeout
    if holder.has("request_body_buffer_limit"):
        plan.buffer_limit = holder.request_body_buffer_limit
    if holder.has("per_request_buffer_limit_bytes"):
        plan.old_buffer_limit = holder.per_request_buffer_limit_bytes
    return plan
