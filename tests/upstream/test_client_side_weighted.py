"""Weights that endpoints report. What a report comes to was read off a real Envoy (/clusters shows the weight)."""

import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.http.headers import Headers, ResponseHeaders
from meshproxy.upstream.balancers.client_side_weighted import ClientSideWeighted, Reports, ReportSettings
from meshproxy.upstream.balancers.load_report import HEADER, read_report
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.priorities import PriorityBalancer
from meshproxy.upstream.stats import ClusterStats


def double(field: int, value: float) -> bytes:
    return bytes([field << 3 | 1]) + struct.pack("<d", value)


def entry(field: int, key: bytes, value: float) -> bytes:
    inner = bytes([10, len(key)]) + key + double(2, value)
    return bytes([field << 3 | 2, len(inner)]) + inner


MESSAGE = base64.b64encode(double(1, 0.5) + double(6, 300.0) + b"\x18\x05" + entry(8, b"foo", 0.2)).decode()


def headers(value: str, name: str = HEADER) -> Headers:
    return ResponseHeaders(200, [(name, value)])


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def endpoints(count: int) -> list[Endpoint]:
    return [Endpoint((f"10.0.0.{i}", 80)) for i in range(count)]


@pytest.mark.parametrize(
    ("value", "metrics", "weight"),
    [
        ("TEXT cpu_utilization=0.5, rps_fractional=100", "", 200),
        ("TEXT cpu_utilization=0.5,application_utilization=0.25,rps_fractional=100,eps=50", "", 133),
        ('JSON {"cpu_utilization": 0.5, "rps_fractional": 200}', "", 400),
        ('JSON {"cpuUtilization": 0.5, "rpsFractional": 200, "namedMetrics": {"foo": 0.1}}', "named_metrics.foo", 2000),
        (f"BIN {MESSAGE}", "", 600),
        (f"BIN {MESSAGE}", "named_metrics.foo", 1500),
        ("TEXT named_metrics.foo=0.2,cpu_utilization=0.5,rps_fractional=100", "named_metrics.foo", 500),
        ("TEXT utilization.foo=0.1,cpu_utilization=0.5,rps_fractional=100", "utilization.foo", 1000),
        ("TEXT mem_utilization=0.4,rps_fractional=100", "mem_utilization", 250),
        ("TEXT cpu_utilization=0.5,foo=1,rps_fractional=700", "", 1),
        ("TEXT cpu_utilization=0.5,cpu_utilization=0.25,rps_fractional=100", "", 1),
        ("TEXT cpu_utilization=x,rps_fractional=100", "", 1),
        ("TEXT cpu_utilization=nan,rps_fractional=100", "", 1),
        ("text cpu_utilization=0.5,rps_fractional=800", "", 1),
        ("cpu_utilization:0.5,rps_fractional:400", "", 1),
        ("TEXT rps_fractional=400", "", 1),
        ("TEXT cpu_utilization=0.5", "", 1),
        ("TEXT cpu_utilization=1e-300,rps_fractional=1e300", "", 4294967295),
    ],
)
def test_what_a_report_comes_to(value: str, metrics: str, weight: int) -> None:
    settings = ReportSettings(blackout=0.0, penalty=1.0, metrics=(metrics,) if metrics else ())
    reports = Reports(settings, Clock())
    (only,) = endpoints(1)
    reports.hear(only, headers(value))
    reports.apply([only])
    assert only.weight == weight


def test_binary_headers_and_none_at_all() -> None:
    assert read_report(headers(MESSAGE, "endpoint-load-metrics-bin")) == {
        "cpu_utilization": 0.5, "rps_fractional": 300.0, "named_metrics.foo": 0.2,
    }  # fmt: skip
    assert read_report(headers("x", "other")) is None


@given(st.binary(max_size=40), st.sampled_from(["BIN ", "TEXT ", "JSON ", ""]))
def test_no_report_breaks_it(data: bytes, form: str) -> None:
    read_report(headers(form + data.decode("latin-1")))
    read_report(headers("BIN " + base64.b64encode(data).decode()))


def test_weights_need_time_and_go_out_of_date() -> None:
    clock = Clock()
    reports = Reports(ReportSettings(blackout=10.0, expiration=60.0), clock)
    each = endpoints(4)
    for endpoint, rate in zip(each, (100, 200, 300), strict=False):
        reports.hear(endpoint, headers(f"TEXT cpu_utilization=0.5,rps_fractional={rate}"))
    assert not reports.apply(each)
    clock.now += 10
    assert reports.apply(each)
    # Who has said nothing gets the median.
    assert [endpoint.weight for endpoint in each] == [200, 400, 600, 400]
    clock.now += 51
    reports.hear(each[0], headers("TEXT cpu_utilization=0.5,rps_fractional=10"))
    reports.apply(each)
    assert [endpoint.weight for endpoint in each] == [20, 20, 20, 20]


class Asking:
    """A stream, as far as the balancer knows it."""

    request = object()
    details = "via_upstream"
    endpoint: Endpoint | None = None

    def __init__(self) -> None:
        self.edits: list[Any] = []

    def edit_response(self, edit: Any) -> None:
        self.edits.append(edit)


def test_responses_are_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = Reports(ReportSettings(blackout=0.0), Clock())
    monkeypatch.setattr(Reports, "picked", lambda self, endpoint: None)
    balancer = PriorityBalancer(ClientSideWeighted(reports), ClusterStats())
    each = endpoints(2)
    balancer.update(each)
    for rate in (100, 300):
        stream = Asking()
        stream.endpoint = each[rate // 200]
        assert balancer.pick(stream) in each
        stream.edits[0](stream, headers(f"TEXT cpu_utilization=1,rps_fractional={rate}"))
    assert balancer.pick(None) in each
    assert reports.apply(each)
    balancer.update(each)
    picked = [balancer.pick(None) for _ in range(400)]
    assert [picked.count(endpoint) for endpoint in each] == [100, 300]
