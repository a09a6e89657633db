"""grpc_stats and grpc_web: what scenarios cannot reach."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from meshproxy.filters.http.grpc_names import MessageCounter, MessageReader, service_and_method
from meshproxy.observe import named_stats
from meshproxy.observe.named_stats import NamedStats


def frame(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4) + message


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.lists(st.binary(max_size=20), max_size=6), st.lists(st.integers(min_value=0), max_size=12))
def test_messages_are_the_same_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    frames = [frame(message) for message in messages]
    counter, reader = MessageCounter(), MessageReader()
    counted = 0
    found: list[bytes] = []
    for piece in pieces(b"".join(frames), cuts):
        counted += counter.add(piece)
        found += reader.add(piece)
    assert counted == counter.count == len(messages)
    assert found == frames


def test_a_message_counts_as_it_begins() -> None:
    counter = MessageCounter()
    assert [counter.add(piece) for piece in (b"\0", b"\0\0\0", b"\x02a", b"b\0")] == [1, 0, 0, 1]


def test_paths_that_name_a_method() -> None:
    assert service_and_method("/a.B/C?d=/e/") == ("a.B", "C")
    for path in ("/a.B", "/a.B/", "//C", "/a.B/C/", "a.B/C", "", "*"):
        assert service_and_method(path) is None


def test_names_that_clients_choose_are_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(named_stats, "KEPT", 2)
    monkeypatch.setattr(named_stats, "_SPARE", 1)
    stats = NamedStats()
    for method in ("A", "B", "C", "D"):
        stats.count(f"grpc.s.{method}.", "total")
    stats.count("grpc.s.E.", "failure")
    stats.count("grpc.s.A.", "total")
    assert list(stats.rows()) == [
        ("counter", "grpc.s.A.total", 2), ("counter", "grpc.s.B.total", 1), ("counter", "grpc.total", 2),
    ]  # fmt: skip
    for method in ("A", "B", "C"):
        stats.record(f"grpc.s.{method}.", "upstream_rq_time", 3)
    assert [row[1] for row in stats.rows() if row[0] == "histogram"] == [
        "grpc.s.A.upstream_rq_time", "grpc.s.B.upstream_rq_time", "grpc.upstream_rq_time",
    ]  # fmt: skip
    stats.reset()
    assert [row[2] for row in stats.rows() if row[0] == "counter"] == [0, 0, 0]
