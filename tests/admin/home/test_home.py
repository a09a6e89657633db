"""The page as text: what it says, how it is built, and that nothing on it can be injected."""

import json
import re
from html.parser import HTMLParser

import pytest
import yaml

from meshproxy.admin import home
from meshproxy.admin.home.history import History
from tests.admin.conftest import BOOTSTRAP, Client, Start
from tests.admin.home.conftest import failed, served

HOSTILE = '<script>top.pwned=1</script>"><img src=x onerror=top.pwned=1>'
_VOID = {"meta", "link", "input", "br"}


class Outline(HTMLParser):
    """Elements in order, and that each is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


def outline(admin: Client) -> Outline:
    reply = admin("/")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=UTF-8")
    assert reply.body.isascii()
    return Outline(reply.text)


def verdict(admin: Client) -> str:
    """At a first look: however long the one before is ago."""
    home._history = History()
    found = re.search(r'<h2 id="verdict" role="status"><svg.*?</svg> (.*?)</h2>', admin("/").text)
    assert found is not None
    return found[1]


def test_it_asks_the_workers_for_everything(admin: Client) -> None:
    admin("/")
    assert admin.process.told == ["all"]


def test_the_verdict(admin: Client) -> None:
    assert verdict(admin) == "Nothing is wrong, and nobody asks"
    served(admin, times=10)
    assert verdict(admin) == "All is well"
    failed(admin)
    assert verdict(admin) == "Some requests to reviews fail"
    for _ in range(20):
        failed(admin)
    assert verdict(admin) == "reviews is failing"
    failed(admin, "ratings", flags=("UH",), details="no_healthy_upstream")
    assert verdict(admin) == "ratings and reviews are failing"


def test_a_proxy_that_is_not_live(admin: Client) -> None:
    served(admin)
    admin.post("/healthcheck/fail")
    assert verdict(admin) == "Draining: new traffic is to go elsewhere"
    assert "draining: meshproxy" in outline(admin).text
    admin.process.state = "INITIALIZING"
    assert verdict(admin) == "Starting: not all clusters are ready"


def test_what_clients_do_is_no_fault_of_ours(admin: Client) -> None:
    failed(admin, None, flags=("DC",), details="downstream_remote_disconnect")
    failed(admin, None, flags=("NR",), details="route_not_found")
    failed(admin, None, flags=(), details="direct_response")
    assert "fail" not in verdict(admin)


def test_failures_without_a_cluster(admin: Client) -> None:
    failed(admin, None, flags=("OM",), details="overload")
    assert verdict(admin) == "Some requests fail before they reach a cluster"


def test_unhealthy_endpoints(admin: Client) -> None:
    admin.process.ctx.clusters.by_name["reviews"].endpoints[0].set_health(("failed_eds_health",))
    assert verdict(admin) == "Not all endpoints of reviews are healthy"
    assert "failed eds health" in outline(admin).text
    assert "1 of 1 unhealthy" in outline(admin).text
    assert "1 endpoint, none healthy" in outline(admin).text


def test_a_failure_is_explained(admin: Client) -> None:
    failed(admin)
    failed(admin)
    text = outline(admin).text
    assert "reviews: could not connect to reviews at 127.0.0.1:9080: connection refused" in text
    assert "Could not connect to reviews at 127.0.0.1:9080: connection refused." in text
    assert "GET shop.example/a, answered 503 after" in text
    assert "connect_timeout of the cluster" in text
    assert "secret" not in text


def test_a_cluster_has_its_numbers(admin: Client) -> None:
    served(admin, times=99)
    served(admin, status=500)
    text = " ".join(outline(admin).text.split())
    assert re.search(r"reviews healthy [\d.k]+/s 1.0 % 12 ms 1[23] ms 1[23] ms 0 1 endpoint, healthy", text)
    assert re.search(r"ratings idle 0/s 0 % – – – 0 no endpoints", text)
    assert "one.local, r1/z1" in text


def test_a_cluster_that_carries_only_tcp(admin: Client) -> None:
    stats = admin.process.ctx.clusters.by_name["reviews"].stats
    stats.upstream_cx_total, stats.upstream_cx_connect_fail, stats.upstream_cx_active = 4, 1, 2
    stats.upstream_cx_connect_ms.record(3)
    text = " ".join(outline(admin).text.split())
    assert re.search(r"reviews healthy [\d.]+/s 25.0 % 3.\d ms 3.\d ms 3.\d ms 2 1 endpoint, healthy", text)
    assert "Connections Errors Timeouts" in " ".join(re.findall(r"[A-Z][a-z]+", outline(admin).text))


def test_listeners_and_routes(admin: Client) -> None:
    text = " ".join(outline(admin).text.split())
    assert "entry 127.0.0.1:0 stopped HTTP, routes routes 0 0/s 0 % –" in text
    assert "Routes routes HostRequestGoes to * begins with / reviews" in text


ROUTES = """
- match: {path: /exact, headers: [{name: end-user, string_match: {exact: jason}}, {name: x-debug, present_match: true}]}
  route:
    timeout: 2s
    weighted_clusters: {clusters: [{name: reviews, weight: 3}, {name: ratings, weight: 1}]}
- match: {safe_regex: {regex: "/a.*"}, query_parameters: [{name: q, present_match: true}]}
  redirect: {https_redirect: true}
- {match: {path_separated_prefix: /api}, direct_response: {status: 204}}
- match: {prefix: /, headers: [{name: a, string_match: {prefix: b}, invert_match: true}]}
  route: {cluster_header: x-to}
"""


def test_every_kind_of_route(start: Start) -> None:
    flow = json.dumps(yaml.safe_load(ROUTES))
    text = BOOTSTRAP.replace("routes: [{match: {prefix: /}, route: {cluster: reviews}}]", f"routes: {flow}")
    found = " ".join(outline(start(text)).text.split())
    assert "* /exact, header end-user is jason, header x-debug is there reviews 75 %, ratings 25 % timeout 2s" in found
    assert "* matches /a.*, query q is there redirect to https" in found
    assert "* below /api answered here: 204" in found
    assert "* begins with /, header a not begins with b the cluster named by header x-to" in found


def test_the_pages_are_listed(admin: Client) -> None:
    page = outline(admin)
    assert {"href": "stats/prometheus"} in page.all("a")
    asks = "This ends the proxy. Do it?"
    assert {"action": "quitquitquit", "method": "post", "data-asks": asks} in page.all("form")
    assert {"action": "reopen_logs", "method": "post"} in page.all("form")
    assert {"action": "stats", "method": "get"} in page.all("form")
    assert {"type": "checkbox", "name": "usedonly"} in page.all("input")
    assert "print out list of admin commands" in page.text


def test_nothing_is_injected(start: Start) -> None:
    renamed = BOOTSTRAP.replace("name: reviews\n", f"name: '{HOSTILE}'\n")
    admin = start(renamed.replace("cluster: reviews", f"cluster: '{HOSTILE}'"))
    served(admin, HOSTILE)
    failed(admin, HOSTILE, details=HOSTILE, flags=(), upstream_failure=HOSTILE)
    failed(admin, HOSTILE, flags=(HOSTILE,), told_peer=(HOSTILE, 1))
    page = outline(admin)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, attributes in page.seen for name in attributes)
    assert page.text.count("<script>top.pwned=1</script>") > 5


def test_only_what_is_on_the_page_may_run(admin: Client) -> None:
    reply = admin("/")
    policy = dict(each.split(" ", 1) for each in reply.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].startswith("'sha256-")
    assert policy["frame-ancestors"] == "'none'"
    page = Outline(reply.text)
    assert not any("style" in attributes for _, attributes in page.seen)
    sources = [each.get("src") or each.get("href") for tag in ("script", "link", "img") for each in page.all(tag)]
    assert all(each is None or each.startswith("data:") for each in sources)


def test_structure(admin: Client) -> None:
    failed(admin)
    page = outline(admin)
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert len(page.all(tag)) == 1
    assert [tag for tag, _ in page.seen if re.fullmatch("h[1-6]", tag)] == ["h1", *["h2"] * 6]
    ids = [attributes["id"] for _, attributes in page.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {each["href"] for each in page.all("a") if (each["href"] or "").startswith("#")}
    assert {(target or "")[1:] for target in targets} <= set(ids)
    assert all("scope" in each for each in page.all("th"))
    assert len(page.all("noscript")) == 1


@pytest.mark.parametrize("clusters", [150])
def test_there_may_be_many_clusters(start: Start, clusters: int) -> None:
    more = "".join(
        f"  - {{name: c{n}, type: STATIC, load_assignment: {{cluster_name: c{n}}}}}\n" for n in range(clusters)
    )
    admin = start(BOOTSTRAP + more)
    failed(admin, "c149")
    page = outline(admin)
    assert "cluster-c149" in [each.get("id") for each in page.all("tbody")]
    assert "52 more clusters not shown: As text" in page.text
