"""Functions that are written as Python: whatever stands in a configuration stays text."""

import pytest

from meshproxy.observe.formatter import compile_format, compile_json_format
from meshproxy.observe.generate import generate
from meshproxy.observe.operators import coded
from tests.observe.exchanges import exchange


def test_texts_and_values_in_order() -> None:
    double = coded("twice(stream)", twice=lambda text: text * 2)
    triple = coded("twice(stream)", twice=lambda text: text * 3)
    write = generate(["<", double, "|", "|", triple, str.upper, ">"], "{get}", {})
    assert write("a") == "<aa||aaaA>"


@pytest.mark.parametrize("text", ["{1/0}", "'", '"', "\\", "{{}}", '"""', "{stream.started}", "\n{", "#"])
def test_text_is_never_code(text: str) -> None:
    assert compile_format(f"{text}%PROTOCOL%{text}")(exchange()) == f"{text}HTTP/1.1{text}"
    line = compile_json_format({text: [text, "%PROTOCOL%", {}, []]})(exchange())
    assert line.count("HTTP/1.1") == 1 and line.endswith(",{},[]]}\n")


@pytest.mark.parametrize("name", ["'x'", "x`y", "x|y", "$x", "!x#y"])
def test_names_of_headers_are_never_code(name: str) -> None:
    assert compile_format(f"%REQ({name})%")(exchange((name.lower(), "found"))) == "found"
