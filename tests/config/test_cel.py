"""CEL expressions over exchanges. What attributes are worth, `parity/scenarios/log/cel.yaml` compares with Envoy."""

import subprocess
import sys
from typing import Any

import pytest

from meshproxy.config import build_format  # noqa: F401  registers the operators
from meshproxy.config.cel import Fault, compile_cel
from meshproxy.observe.formatter import compile_format, compile_json_format
from tests.observe.exchanges import exchange, forwarded, tcp


@pytest.mark.parametrize(
    "text, value",
    [
        ("request.path == '/a?x=1' && response.code < 300", True),
        ("request['path']", "/a?x=1"),
        ("request.headers['X-Upper']", "kept"),
        ("has(request.headers.missing)", False),
        ("request.headers['x-upper'] in ['kept', 'other']", True),
        ("response.headers['x-twice']", "1,2"),
        ("source.address + ' ' + destination.address", "10.1.2.3:4567 127.0.0.1:8080"),
        ("request.size", 12),
        ("request.time > timestamp('2020-01-01T00:00:00Z') && request.url_path.matches('^/a$')", True),
        ("response.code == 200 ? [1, 2.5] : []", [1, 2.5]),
        ("size(request) > 5", True),
        ("filter_state['chosen']", "caf\u00e9"),
        ("metadata.filter_metadata['ns'].key", "value"),
        ("request.nosuch == 'a' || true", True),
    ],
)
def test_values(text: str, value: Any) -> None:
    asked = exchange(("x-upper", "kept"), ("content-length", "12"))
    asked.set_state("chosen", "caf\xc3\xa9")
    asked.set_metadata("ns", "key", "value")
    assert compile_cel(text)(asked) == value


@pytest.mark.parametrize("text", ["request.headers['x-none']", "1 / 0", "upstream.address", "nosuch.thing", "1 + 'a'"])
def test_what_has_no_value(text: str) -> None:
    with pytest.raises(Fault):
        compile_cel(text)(exchange())
    assert compile_format(f"%CEL({text})%|")(exchange()) == "-|"


@pytest.mark.parametrize(
    "text, reason",
    [
        ("1 +", "Not able to parse expression: INVALID_ARGUMENT: ERROR: <input>:1:4: Syntax error: mismatched input"),
        ("", "Not able to parse expression: INVALID_ARGUMENT"),
        ("nosuch(1)", "failed to create an expression: No overload found in reference resolve step for nosuch"),
        ("request.path.lowerAscii()", "No overload found in reference resolve step for lowerAscii"),
        ("string(1)", "No overload found in reference resolve step for string"),
        ("{'a': [nosuch(1)]}", "No overload found in reference resolve step for nosuch"),
        ("request.headers.exists(k, k == 'a')", "failed to create an expression: Comprehension support is disabled"),
        ("request.path.matches('a(')", "failed to create an expression: invalid regular expression: missing ): a("),
        ("Foo{}", "failed to create an expression: Invalid struct creation: missing type info for 'Foo'"),
    ],
)
def test_refused_in_envoys_words(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        compile_format(f"%CEL({text})%")
    assert reason in str(error.value)


def test_formats() -> None:
    text = "%CEL(request.path):3% %CEL(duration('90.5s'))% %CEL(duration('1500us'))% %CEL(duration('0s'))% %CEL(2.0)%"
    assert compile_format(text)(exchange()) == "/a? 1m30.5s 1.5ms 0 2"
    tree = {
        "code": "%TYPED_CEL(response.code)%",
        "none": "%TYPED_CEL(request.none)%",
        "long": "%TYPED_CEL(duration('90s'))%",
    }
    assert compile_json_format(tree)(exchange()) == '{"code":200,"long":"90s","none":null}\n'


def test_an_exchange_with_an_upstream_and_a_connection_without_http() -> None:
    text = "%CEL(upstream.address)% %CEL(xds.cluster_name)% %CEL(request.path)% %CEL(source.port)%"
    assert compile_format(text)(forwarded()) == "10.0.0.7:9080 reviews /a?x=1 4567"
    assert compile_format(text)(tcp()) == "- - - 4567"


def test_only_the_fields_that_an_expression_names_are_worked_out() -> None:
    """A bare stream has no connection to ask."""
    asked = exchange()
    asked.connection = None  # type: ignore[assignment]
    assert compile_cel("request.method == 'GET'")(asked) is True


def test_nothing_is_imported_before_an_expression_is_there() -> None:
    code = "import sys, meshproxy.config.build_format; print('cel_expr_python' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
