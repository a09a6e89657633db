"""Patterns of the process log: spdlog's flags, JSON, and Envoy's own lines beside ours."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from meshproxy.observe.log_pattern import compile_json_pattern, compile_pattern, escape_line
from meshproxy.observe.process_log import DEFAULT_PATTERN
from tests.parity.proxies import find_envoy

ENVOY = find_envoy()


def record(message: str = "said %s", level: int = logging.WARNING, name: str = "upstream") -> logging.LogRecord:
    values = ("so",) if "%s" in message else ()
    made = logging.LogRecord(name, level, "/elsewhere/file.py", 7, message, values, None, "function")
    made.created = 1795240607.691413
    return made


def test_default_line_is_envoys() -> None:
    line = compile_pattern(DEFAULT_PATTERN)(record())
    assert re.fullmatch(
        r"\[2026-11-2[0-2] \d\d:\d\d:47\.691\]\[\d+\]\[warning\]\[upstream\] \[/elsewhere/file\.py:7\] said so", line
    )


@pytest.mark.parametrize(
    "pattern, line",
    [
        ("%l %L %n %v %%", "warning W upstream said so %"),
        ("%s:%# %! %@", "file.py:7 function /elsewhere/file.py:7"),
        ("%f %F %E", "691413 691413000 1795240607"),
        ("%Y %^x%$", "2026 x"),
        ("100%", "100"),
        ("%q %5k", "%q %k"),
        ("%+|%*|%&|", "said so|||"),
        ("%8l|%-8l|%=9n|%3n|%3!n|%=3!l|", " warning|warning |upstream |upstream|ups|war|"),
        ("%!v", "functionv"),
        ("%C %h", "26 Nov"),
    ],
)
def test_patterns(pattern: str, line: str) -> None:
    assert compile_pattern(pattern)(record()) == line


def test_the_zone_has_a_colon() -> None:
    assert re.fullmatch(r"[+-]\d\d:\d\d", compile_pattern("%z")(record()))


def test_time_since_the_line_before() -> None:
    write = compile_pattern("%i %u %o %O")
    write(record())
    later = record()
    later.created += 1.5
    micro, nano, milli, whole = [int(text) for text in write(later).split()]
    assert abs(micro - 1_500_000) <= 1 and abs(nano - 1_500_000_000) < 1000 and (milli, whole) == (1500, 1)


def test_messages_with_new_lines() -> None:
    two = record('two\nlines\t"%s"')
    assert compile_pattern("%_")(two) == 'two\\nlines\t"so"'
    assert compile_pattern('{"m":"%j"}')(two) == '{"m":"two\\nlines\\t\\"so\\""}'


@pytest.mark.parametrize(
    "number, name",
    [(3, "trace"), (5, "trace"), (10, "debug"), (25, "info"), (40, "error"), (50, "critical")],
)
def test_level_names(number: int, name: str) -> None:
    assert compile_pattern("%l")(record(level=number)) == name


def test_json() -> None:
    line = compile_json_pattern({"z": "%j", "a": {"level": "%l", "n": [1, None]}, "text": "%q"})(record('quote " %s'))
    assert line == '{"a":{"level":"warning","n":[1,null]},"text":"%q","z":"quote \\" so"}'
    assert json.loads(line)["z"] == 'quote " so'


@pytest.mark.parametrize("flag", ["%v", "%_"])
def test_json_takes_only_what_is_escaped(flag: str) -> None:
    with pytest.raises(ValueError, match=f"Usage of {flag} is unavailable for JSON log formats"):
        compile_json_pattern({"deep": [{"m": flag}]})


def test_tracebacks_are_part_of_the_message() -> None:
    failed = record()
    try:
        raise ValueError("why")
    except ValueError:
        failed.exc_info = sys.exc_info()
    assert compile_pattern("%v")(failed).endswith("ValueError: why")


NAME = "a\n\t\"\u00e9'\\ \x01z"
# Envoy says this of two layers of one name.
LINE = f"error initializing configuration '': Duplicate layer name: {NAME}"
PATTERNS = ("%v", "%j", "%_", "%+", "%12l|%-12l|%=12n|%3n|%3!l|%-9!n|", "%L%%%&%*%^%$%q%5k %", "%!v%=5L|")


def said_by_envoy(tmp_path: Path, *flags: str) -> str:
    layer = {"name": NAME, "admin_layer": {}}
    path = tmp_path / "bootstrap.json"
    path.write_text(json.dumps({"layered_runtime": {"layers": [layer, layer]}}))
    command = [str(ENVOY), "--mode", "validate", "--disable-hot-restart", "-l", "critical", "-c", str(path), *flags]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    text = done.stderr.decode().replace(str(path), "")
    return re.sub("^initializeOrThrow|^[a-zA-Z]+(?=v)", "function", text)


@pytest.mark.skipif(ENVOY is None, reason="no Envoy here to ask")
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("escaped", [False, True])
def test_envoys_lines(tmp_path: Path, pattern: str, escaped: bool) -> None:
    line = compile_pattern(pattern)(record(LINE, logging.CRITICAL, "main"))
    expected = said_by_envoy(tmp_path, "--log-format", pattern, *(["--log-format-escaped"] if escaped else []))
    assert (escape_line(line) if escaped else line) + "\n" == expected
