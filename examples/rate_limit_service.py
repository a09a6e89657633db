"""A rate limit service for examples/rate-limits.yaml: three requests a minute for each user, anything else as it comes.

Real ones keep their counts where several of them can reach these. Needs grpcio (`pip install grpcio`).
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from meshproxy.config.types import message_class

LIMIT = 3
OK, OVER_LIMIT, MINUTE = 1, 2, 2
Request = message_class("envoy.service.ratelimit.v3.RateLimitRequest")
Response = message_class("envoy.service.ratelimit.v3.RateLimitResponse")
# By descriptor: when its minute began, and the requests in it.
minutes: dict[Any, tuple[float, int]] = {}


def should_rate_limit(request: Any, _context: Any) -> Any:
    response = Response(overall_code=OK)
    for descriptor in request.descriptors:
        entries = tuple((entry.key, entry.value) for entry in descriptor.entries)
        status = response.statuses.add(code=OK)
        if not entries or entries[0][0] != "user":
            continue
        begun, count = minutes.get(entries, (time.monotonic(), 0))
        if time.monotonic() - begun > 60:
            begun, count = time.monotonic(), 0
        count += 1
        minutes[entries] = begun, count
        left = round(begun + 60 - time.monotonic())
        status.current_limit.requests_per_unit, status.current_limit.unit = LIMIT, MINUTE
        status.limit_remaining = max(LIMIT - count, 0)
        status.duration_until_reset.seconds = left
        if count > LIMIT:
            status.code = response.overall_code = OVER_LIMIT
            response.raw_body = f"{entries[0][1]} has to wait {left} seconds\n".encode()
    return response


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8081)
    arguments = parser.parse_args()
    method = grpc.unary_unary_rpc_method_handler(should_rate_limit, Request.FromString, Response.SerializeToString)
    server = grpc.server(ThreadPoolExecutor(2))
    service = "envoy.service.ratelimit.v3.RateLimitService"
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"ShouldRateLimit": method})])
    server.add_insecure_port(f"127.0.0.1:{arguments.port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
