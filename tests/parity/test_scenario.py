"""Loading scenario files."""

import pytest

from .scenario import ScenarioError, Step, UpstreamScript, find, load, parse, wire_text


def test_every_scenario_loads() -> None:
    assert len([load(path) for path in find()]) > 150


def test_steps_with_and_without_argument_and_options() -> None:
    scenario = parse("x", "about: a\nclient: [connect, {get: /p, conn: b}, {read_all: , conn: b, source: 127.0.0.2}]")
    assert scenario.client == (
        Step("connect"),
        Step("get", "/p", "b"),
        Step("read_all", None, "b", {"source": "127.0.0.2"}),
    )


def test_upstream_forms() -> None:
    text = """
about: a
upstreams:
  none: refuse
  hole: blackhole
  list: [{reply: 200}]
  many: {connections: [[close], [{reply: 200}]], listen: unix}
  two: {http2: {max_concurrent_streams: 1}, streams: [[{rst: CANCEL}], [{data: x, end: true}]]}
  each: {http2: {}, steps: [{reply: 200}]}
"""
    assert parse("x", text).upstreams == {
        "none": UpstreamScript(((),), "refuse"),
        "hole": UpstreamScript(((),), "blackhole"),
        "list": UpstreamScript(((Step("reply", 200),),)),
        "many": UpstreamScript(((Step("close"),), (Step("reply", 200),)), "unix"),
        "two": UpstreamScript(
            (), http2={"max_concurrent_streams": 1},
            streams=(((Step("rst", "CANCEL"),), (Step("data", "x", options={"end": True}),)),),
        ),
        "each": UpstreamScript((), http2={}, streams=(((Step("reply", 200),),),)),
    }


def test_an_upstream_that_is_not_mentioned_answers_200() -> None:
    assert parse("x", "about: a").upstreams == {"origin": UpstreamScript(((Step("reply", 200),),))}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "a scenario is a mapping"),
        ("client: []", "about"),
        ("about: a\nclents: []", "unknown key: clents"),
        ("about: a\nclient: [{jump: 1}]", "exactly one verb"),
        ("about: a\nclient: [{get: /, send: x}]", "exactly one verb"),
        ("about: a\nclient: [{get: /, con: b}]", "unknown option con"),
        ("about: a\nclient: get", "a list of steps"),
        ("about: a\nupstreams: {o: [{get: /}]}", "exactly one verb"),
        ("about: a\nupstreams: {o: {step: []}}", "unknown upstream key: step"),
        ("about: a\nupstreams: {o: {listen: udp}}", "udp"),
        ("about: a\nupstreams: {o: 5}", "not 5"),
        ("about: a\nupstreams: {o: {http2: {}, steps: [head]}}", "exactly one verb"),
    ],
)
def test_what_is_misspelt_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        parse("x", text)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("GET / HTTP/1.1\nhost: a", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("GET / HTTP/1.1\nhost: a\n", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("HTTP/1.1 200 OK\n\nbody\n\nmore\n", "HTTP/1.1 200 OK\r\n\r\nbody\n\nmore\n"),
    ],
)
def test_line_ends_of_a_message(written: str, sent: str) -> None:
    assert wire_text(written) == sent
