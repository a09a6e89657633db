"""set_metadata and set_filter_state."""

from typing import Any

from meshproxy.testing import Bench

METADATA = "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config"
STATE = "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config"


def metadata(*entries: dict[str, Any], **fields: Any) -> Any:
    bench = Bench([{"name": "m", "typed_config": {"@type": METADATA, "metadata": list(entries), **fields}}])
    bench.ask()
    bench.ask()
    assert bench.streams[0].metadata == bench.streams[1].metadata
    return bench.streams[0].metadata


def entry(value: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"metadata_namespace": "ns", "value": value, **fields}


def test_the_first_value_stays() -> None:
    assert metadata(entry({"a": "x"}), entry({"a": "y", "b": 1})) == {"ns": {"a": "x"}}


def test_values_merge_where_they_may_overwrite() -> None:
    first = entry({"a": "x", "m": {"one": 1, "t": 1}, "l": [1], "s": "text"})
    second = entry({"a": "y", "m": {"two": 2, "t": "x"}, "l": [2], "s": [3]}, allow_overwrite=True)
    assert metadata(first, second) == {"ns": {"a": "y", "m": {"one": 1, "two": 2, "t": "x"}, "l": [1, 2], "s": [3]}}


def test_the_old_form() -> None:
    assert metadata(metadata_namespace="old", value={"a": 1}) == {"old": {"a": 1}}


def test_metadata_of_a_request_is_its_own() -> None:
    bench = Bench([{"name": "m", "typed_config": {"@type": METADATA, "metadata": [entry({"a": 1})]}}])
    bench.ask()
    bench.streams[0].set_metadata("ns", "b", 2)
    bench.ask()
    assert bench.streams[1].metadata == {"ns": {"a": 1}}


def setter(key: str, text: str, **fields: Any) -> dict[str, Any]:
    return {"object_key": key, "factory_key": "envoy.string", "format_string": {
        "text_format_source": {"inline_string": text}, "omit_empty_values": True}, **fields}  # fmt: skip


def test_filter_state() -> None:
    setters = [setter("one", "%REQ(x-a)%/%REQ(:path)%"), setter("two", "%REQ(x-b)%", skip_if_empty=True)]
    route = {
        "match": {"prefix": "/"}, "route": {"cluster": "c"},
        "typed_per_filter_config": {"s": {"@type": STATE, "on_request_headers": [setter("three", "route")]}},
    }  # fmt: skip
    bench = Bench([{"name": "s", "typed_config": {"@type": STATE, "on_request_headers": setters}}], routes=[route])
    bench.ask(path="/p", headers=[("x-a", "1")])
    assert bench.streams[0].filter_state == {"one": "1//p", "three": "route"}
