"""The examples, as somebody's configurations; and what is asked."""

import asyncio
from pathlib import Path

import pytest

from tests.parity.foreign.echo import Echo
from tests.parity.foreign.judge import Verdicts, judge
from tests.parity.foreign.questions import Question, questions
from tests.parity.foreign.transplant import Tree, load, transplant
from tests.parity.proxies import REPOSITORY, find_envoy

# Those that need another service are asked with it (tests/docs), and not here, where it would have to be in time.
ALONE = [path for path in (REPOSITORY / "examples").glob("*.yaml") if "rate_limit_service:" not in path.read_text()]
EXAMPLES = sorted(ALONE)


async def _judge(tree: Tree) -> Verdicts:
    async with Echo() as echo:
        return await judge(tree, echo.port)


@pytest.mark.skipif(find_envoy() is None, reason="no Envoy: see tests/parity/README.md")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_answer_as_with_envoy(path: Path) -> None:
    verdicts = asyncio.run(_judge(load(str(path))))
    assert (verdicts.refusals, verdicts.differences) == ({}, [])
    assert verdicts.asked


@pytest.mark.skipif(find_envoy() is None, reason="no Envoy: see tests/parity/README.md")
def test_what_both_refuse_is_agreed() -> None:
    verdicts = asyncio.run(_judge({"static_resources": {"clusters": [{"name": "a", "lb_policy": "NONE"}]}}))
    assert set(verdicts.refusals) == {"envoy", "meshproxy"}
    assert verdicts.agree


def test_routes_are_asked_for_what_they_match_and_what_they_do_not() -> None:
    match = {
        "path": "/a",
        "headers": [
            {"name": ":method", "string_match": {"exact": "PUT"}},
            {"name": "X-A", "string_match": {"prefix": "1"}},
        ],
        "query_parameters": [{"name": "q", "string_match": {"safe_regex": {"regex": "v[0-9]+"}}}],
    }
    asked = questions([{"domains": ["*.test"], "routes": [{"match": match}]}])
    assert Question("PUT", "/a?q=va", "any.test", (("x-a", "1"),)) in asked
    assert Question("GET", "/ax", "any.test") in asked
    assert Question("POST", "/p", "nowhere.test").head().endswith(b"content-length: 5\r\n\r\nhello")


def test_a_configuration_is_moved_here() -> None:
    address = {"socket_address": {"address": "example.com", "port_value": 80}}
    tree: Tree = {
        "static_resources": {
            "listeners": [
                {"address": address},
                {"name": "udp", "address": {"socket_address": {"protocol": "UDP"}}},
            ],
            "clusters": [
                {
                    "type": "STRICT_DNS",
                    "load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
                }
            ],
        }
    }
    assert transplant(tree, 9) == {"listener_0": []}
    listeners, clusters = tree["static_resources"]["listeners"], tree["static_resources"]["clusters"]
    assert listeners[0]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 0}
    assert clusters[0]["type"] == "STATIC"
    assert address["socket_address"] == {"address": "127.0.0.1", "port_value": 9}
