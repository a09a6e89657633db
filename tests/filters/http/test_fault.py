"""The fault filter: what a scenario beside Envoy cannot show."""

import asyncio
import os
import subprocess
import sys
from typing import Any

from meshproxy.testing import Answer, Bench
from tests.parity.proxies import REPOSITORY

TYPE = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
STATS = "http.bench.fault"
ALWAYS = {"numerator": 100}


def faulty(answer: Answer | None = None, **fields: Any) -> Bench:
    return Bench([{"name": "fault", "typed_config": {"@type": TYPE, **fields}}], answer=answer or Answer())


def gauge(bench: Bench) -> int:
    groups = [group for name, group in bench.ctx.stats.groups() if name == STATS]
    return int(groups[0].active_faults)


def test_a_filter_that_does_nothing_has_no_hooks() -> None:
    bench = faulty()
    assert bench.ask().status == 200
    (built,) = bench.http.filters
    assert not any(name in vars(cls) for cls in type(built).__mro__[:-2] for name in ("on_request_headers", "on_done"))


def test_a_fault_is_active_until_its_request_is_over() -> None:
    bench = faulty(delay={"fixed_delay": "0.02s", "percentage": ALWAYS})

    async def watch() -> int:
        asking = asyncio.ensure_future(bench._exchange([b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"], "GET"))
        while not gauge(bench):
            await asyncio.sleep(0)
        assert not asking.done()
        return (await asking).status

    assert bench.loop.run_until_complete(watch()) == 200
    assert bench.stats(STATS) == {"delays_injected": 1}
    assert gauge(bench) == 0
    assert bench.streams[0].flags == ("DI",)


def test_a_response_goes_on_in_slices_of_a_sixteenth_second() -> None:
    body = bytes(range(256)) * 12
    bench = faulty(
        Answer(body=body), response_rate_limit={"fixed_limit": {"limit_kbps": 16}, "percentage": ALWAYS}
    )  # fmt: skip
    began = bench.loop.time()
    answer = bench.ask()
    # 3 KiB are three slices, of which the first goes at once.
    assert bench.loop.time() - began > 0.11
    assert answer.body == body
    assert bench.streams[0].bytes_sent == len(body)
    assert gauge(bench) == 0


SEQUENCE = """
from meshproxy.testing import Bench
half = {"@type": "%s", "abort": {"http_status": 503, "percentage": {"numerator": 50}}}
bench = Bench([{"name": "fault", "typed_config": half}])
print([bench.ask().status for _ in range(40)])
"""


def sequence(seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SEQUENCE % TYPE], env={**os.environ, "MESHPROXY_SEED": seed}, cwd=REPOSITORY,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def test_a_seed_repeats_the_sequence() -> None:
    first = sequence("7")
    assert first == sequence("7")
    assert "200" in first and "503" in first
    assert first != sequence("8")
