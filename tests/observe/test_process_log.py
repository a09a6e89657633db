"""The process log: line format, levels, JSON."""

import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshproxy.observe.process_log import (
    DEFAULT_PATTERN,
    LOGGERS,
    ProcessLog,
    compile_json_pattern,
    compile_pattern,
    levels,
)


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, {name: logging.getLogger(name).level for name in LOGGERS})
    yield
    root.handlers[:], root.level = before[0], before[1]
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)


def record(message: str = "said %s", level: int = logging.WARNING) -> logging.LogRecord:
    made = logging.LogRecord("upstream", level, "/elsewhere/file.py", 7, message, ("so",), None, "function")
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
        ("%s:%# %!", "file.py:7 function"),
        ("%f %F %E", "691413 691413000 1795240607"),
        ("%Y %^x%$", "2026 x"),
        ("100%", "100%"),
    ],
)
def test_patterns(pattern: str, line: str) -> None:
    assert compile_pattern(pattern)(record()) == line


def test_messages_with_new_lines() -> None:
    two = record("two\nlines %s")
    assert compile_pattern("%_")(two) == "two\\nlines so"
    assert compile_pattern('{"m":"%j"}')(two) == '{"m":"two\\nlines so"}'


@pytest.mark.parametrize(
    "number, name",
    [(3, "trace"), (5, "trace"), (10, "debug"), (25, "info"), (40, "error"), (50, "critical")],
)
def test_level_names(number: int, name: str) -> None:
    assert compile_pattern("%l")(record(level=number)) == name


def test_json() -> None:
    line = compile_json_pattern({"z": "%v", "a": "%l"})(record('quote " %s'))
    assert line == '{"a":"warning","z":"quote \\" so"}'
    assert json.loads(line)["z"] == 'quote " so'


def test_tracebacks_are_part_of_the_message() -> None:
    failed = record()
    try:
        raise ValueError("why")
    except ValueError:
        failed.exc_info = sys.exc_info()
    assert compile_pattern("%v")(failed).endswith("ValueError: why")


def test_to_a_file_with_levels_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ProcessLog()
    log.start("warning", "%n %l %v", str(path))
    log.set_levels("http:debug,main:off")
    logging.getLogger("http").debug("one")
    logging.getLogger("main").critical("two")
    logging.getLogger("router").info("three")
    logging.getLogger("router").warning("four")
    path.rename(tmp_path / "old")
    log.reopen()
    logging.getLogger("router").error("five")
    assert (tmp_path / "old").read_text() == "http debug one\nrouter warning four\n"
    assert path.read_text() == "router error five\n"


@pytest.mark.parametrize("text", ["nope:debug", "main", "main:loud"])
def test_component_levels_that_make_no_sense_change_nothing(text: str) -> None:
    log = ProcessLog()
    log.set_level("info")
    with pytest.raises(ValueError, match="error: "):
        log.set_levels(f"http:debug,{text}")
    assert levels()["http"] == "info"


def test_unknown_level() -> None:
    with pytest.raises(ValueError, match="loud"):
        ProcessLog().set_level("loud")
    ProcessLog().set_level("warn")
    assert levels()["main"] == "warning"
