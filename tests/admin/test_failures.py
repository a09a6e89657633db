"""/failures, asked for over a socket."""

import re
from typing import Any

from meshproxy.downstream.connection_record import ConnectionRecord
from tests.admin.conftest import Client
from tests.observe.exchanges import connection, exchange


def fail(admin: Client, **changed: Any) -> None:
    made: Any = exchange(path="/a?token=secret", status=503)
    made.connection.listener.name = "edge"
    made.cluster = admin.process.ctx.clusters.by_name["reviews"]
    made.endpoint = made.cluster.endpoints[0]
    made.flags, made.details = ("UF",), "upstream_reset_before_response_started{remote_connection_failure}"
    made.upstream_failure = "delayed connect error: Connection refused"
    for name, value in changed.items():
        setattr(made, name, value)
    admin.process.ctx.failures.add(made)


def test_nothing_has_failed(admin: Client) -> None:
    assert admin("/failures").text == "nothing has failed\n"
    assert admin("/failures?format=json").json == {"failures": []}
    assert admin.process.told == ["failures", "failures"]


def test_newest_first_with_their_sentence(admin: Client) -> None:
    fail(admin)
    fail(admin)
    fail(admin, flags=("NR",), cluster=None, endpoint=None, upstream_failure="")
    lines = admin("/failures").text.splitlines()
    second = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    assert re.fullmatch(f"{second} 1x NR: nothing is configured for .*; GET shop.example/a -> 503; .*", lines[0])
    assert re.fullmatch(
        f"{second} 2x UF: could not connect to reviews at 127.0.0.1:9080: connection refused; "
        f"GET shop.example/a -> 503; listener edge; since {second}",
        lines[1],
    )
    assert len(lines) == 2


def test_as_json(admin: Client) -> None:
    fail(admin)
    (failure,) = admin("/failures?format=json").json["failures"]
    assert failure["explained"] == "could not connect to reviews at 127.0.0.1:9080: connection refused"
    assert (failure["flags"], failure["status"], failure["count"]) == (["UF"], 503, 1)
    assert (failure["cluster"], failure["endpoint"], failure["path"]) == ("reviews", "127.0.0.1:9080", "/a")
    assert failure["first"] == failure["last"]


def test_hostile_values_stay_in_their_line(admin: Client) -> None:
    fail(admin, details="one\ntwo\x1b[2J", flags=())
    assert len(admin("/failures").text.splitlines()) == 1
    assert "\x1b" not in admin("/failures").text
    record: Any = ConnectionRecord(connection(), flags=("UF",))
    record.connection.listener.name = "gr\u00fc\u00df"
    admin.process.ctx.failures.add(record)
    assert "listener gr\u00fc\u00df" in admin("/failures").text
    assert admin("/failures?format=json").json["failures"][0]["listener"] == "gr\u00fc\u00df"


def test_another_format(admin: Client) -> None:
    reply = admin("/failures?format=xml")
    assert (reply.status, reply.text) == (400, "usage: /failures?format=(text|json)\n")
