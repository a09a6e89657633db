"""Regexes of stats_tags: what is refused, with Envoy's words, and what is the same."""

import subprocess
from pathlib import Path

import pytest

from meshproxy.observe.ecmascript import compile_ecmascript
from tests.parity.proxies import find_envoy

WRONG = (
    "(", "a(b", "a)", "[z-a]", "[a", "a**", "a*+", "(?<=x)y", "(?<!x)y", r"\p{L}", "[[:foo:]]", "(?<n>a)", "(?P<n>a)",
    r"\1", "{2}", "a{2,1}", r"\Qa\E", "(?i)a", r"\z", r"\A", "a\\", "*",
)  # fmt: skip


@pytest.mark.skipif(find_envoy() is None, reason="no Envoy here to ask")
@pytest.mark.parametrize("regex", WRONG)
def test_envoys_words(regex: str, tmp_path: Path) -> None:
    path = tmp_path / "envoy.yaml"
    quoted = regex.replace("'", "''")
    path.write_text(f"stats_config: {{stats_tags: [{{tag_name: t, regex: '{quoted}'}}]}}")
    envoy = subprocess.run(
        [str(find_envoy()), "--mode", "validate", "--disable-hot-restart", "-l", "critical", "-c", str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    with pytest.raises(ValueError) as refused:
        compile_ecmascript(regex)
    assert str(refused.value) in envoy.stderr


@pytest.mark.parametrize(
    "regex, text, value",
    [
        (r"^cluster\.(?!x)(\w+)", "cluster.a.b", "a"),
        ("([[:digit:]]+)", "a12", "12"),
        ("([[:alpha:][:digit:]_]+)$", "a.b_1", "b_1"),
        (r"([^[:punct:]]+)", "..a", "a"),
        (r"(?:a|b)(c(?=\.))", "bc.", "c"),
        (r"(a{2,}?)", "aaa", "aa"),
        (r"([\]+*]+)", "a+*]", "+*]"),
    ],
)
def test_the_same(regex: str, text: str, value: str) -> None:
    found = compile_ecmascript(regex).search(text)
    assert found is not None
    assert found.group(1) == value
