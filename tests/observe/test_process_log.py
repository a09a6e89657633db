"""The process log: where it goes, levels, repeated lines, what does not work."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshproxy.observe.process_log import LOGGERS, ProcessLog, levels


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, {name: logging.getLogger(name).level for name in LOGGERS})
    yield
    root.handlers[:], root.level = before[0], before[1]
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)


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


def test_escaped_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ProcessLog().start("info", "%l: %v", str(path), escaped=True)
    logging.getLogger("main").info("it's\n\ttwo %s", "\u00e9")
    assert path.read_text() == "info: it\\'s\\n\\ttwo \\303\\251\n"


def test_a_storm_is_told_of_when_the_log_ends(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ProcessLog()
    log.start("info", "%v", str(path))
    for i in range(1000):
        logging.getLogger("main").warning("storm %d", i)
        logging.getLogger("main").info("asked for %d", i)
    logging.getLogger().handlers[0].close()
    lines = path.read_text().splitlines()
    assert len(lines) == 1011
    assert lines[-1] == "storm 999 (the last of 990 such messages that were not written)"


def test_a_disk_that_is_full_harms_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    ProcessLog().start("info", "%v", "/dev/full")
    logging.getLogger("main").info("lost")
    logging.getLogger("main").info("lost as well")
    assert capfd.readouterr().err == ""
