"""/peers, asked for over a socket."""

import re

from tests.admin.conftest import Client

US = "spiffe://cluster.local/ns/default/sa/reviews"


class Codec:
    requests = 12


def test_nobody(admin: Client) -> None:
    assert admin("/peers").text == "nobody has shown a certificate\n"
    assert admin("/peers?format=json").json == {"peers": []}
    assert admin.process.told == ["peers", "peers"]


def test_both_directions(admin: Client) -> None:
    codec = Codec()
    admin.process.ctx.peers.connected("inbound", "spiffe://cluster.local/ns/default/sa/productpage", US, codec)
    admin.process.ctx.peers.connected("outbound", "spiffe://cluster.local/ns/default/sa/ratings", "", Codec())
    lines = admin("/peers").text.splitlines()
    assert re.fullmatch(
        f"{US} called by spiffe://cluster.local/ns/default/sa/productpage: 12 requests, 1 of 1 connections open, "
        r"last \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
        lines[0],
    )
    assert lines[1].startswith("without a certificate calls spiffe://cluster.local/ns/default/sa/ratings: 12 requests")
    caller = admin("/peers?format=json").json["peers"][0]
    assert (caller["direction"], caller["own"], caller["requests"]) == ("inbound", US, 12)
    admin.process.ctx.peers.gone(codec)
    assert "12 requests, 0 of 1 connections open" in admin("/peers").text


def test_hostile_names_stay_in_their_line(admin: Client) -> None:
    admin.process.ctx.peers.connected("inbound", "one\ntwo\x1b[2J", US, Codec())
    assert len(admin("/peers").text.splitlines()) == 1
    assert "\x1b" not in admin("/peers").text


def test_another_format(admin: Client) -> None:
    reply = admin("/peers?format=xml")
    assert (reply.status, reply.text) == (400, "usage: /peers?format=(text|json)\n")


def test_the_section_of_the_page(admin: Client) -> None:
    assert 'id="peers"' not in admin("/").text
    admin.process.ctx.peers.connected("inbound", "<b>spiffe://a</b>", US, Codec())
    page = admin("/").text
    assert '<h2 id="peers-title">Who talked to whom</h2>' in page
    assert "&lt;b&gt;spiffe://a&lt;/b&gt;" in page and f'{US} <span class="note">(here)</span>' in page
