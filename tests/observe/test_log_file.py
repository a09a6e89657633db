"""Log files: nothing lost, nothing blocked, renamed and reopened, and what happens when a disk is full."""

import asyncio
import gc
import logging
import os
import threading
from pathlib import Path

import pytest

from meshproxy.observe.log_file import LogFiles

PATIENCE = 10.0


async def until_written(files: LogFiles) -> None:
    """Until the thread has dealt with everything that was handed to it."""
    async with asyncio.timeout(PATIENCE):
        while files.stats.written < files.stats.taken:
            await asyncio.sleep(0.001)


def test_lines_wait_until_enough_are_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = LogFiles()
        files.flush_bytes = 20
        file = files.open(str(tmp_path / "log"))
        file.write("0123456789\n")
        assert files.stats.taken == 0
        file.write("0123456789\n")
        await until_written(files)
        assert (tmp_path / "log").read_text() == "0123456789\n" * 2
        assert (files.stats.write_buffered, files.stats.write_completed) == (2, 1)
        assert list(files.stats.more()) == [("gauge", "write_total_buffered", 0)]
        files.close()

    asyncio.run(scenario())


def test_lines_wait_no_longer_than_the_interval(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = LogFiles()
        files.flush_seconds = 0.01
        files.open(str(tmp_path / "log")).write("one\n")
        async with asyncio.timeout(PATIENCE):
            while files.stats.written < 4:
                await asyncio.sleep(0.001)
        assert (tmp_path / "log").read_text() == "one\n"
        assert files.stats.flushed_by_timer == 1
        files.close()

    asyncio.run(scenario())


def test_a_clean_stop_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    # What tests before this one left to the collector would go meanwhile.
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))

    async def scenario() -> None:
        files = LogFiles()
        for name in ("a", "b"):
            file = files.open(str(tmp_path / name))
            for number in range(10_000):
                file.write(f"{number}\n")
        files.close()

    asyncio.run(scenario())
    expected = "".join(f"{number}\n" for number in range(10_000))
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == expected
    assert set(os.listdir("/proc/self/fd")) == before
    assert not [thread for thread in threading.enumerate() if thread.name == "log files"]


def test_one_writer_for_a_path(tmp_path: Path) -> None:
    files = LogFiles()
    assert files.open(str(tmp_path / "log")) is files.open(str(tmp_path / "log"))
    files.close()


def test_reopened_after_a_rename(tmp_path: Path) -> None:
    path, old = tmp_path / "log", tmp_path / "old"

    async def scenario() -> None:
        files = LogFiles()
        file = files.open(str(path))
        file.write("before\n")
        path.rename(old)
        files.reopen()
        file.write("after\n")
        files.close()

    asyncio.run(scenario())
    assert (old.read_text(), path.read_text()) == ("before\n", "after\n")


def test_reopening_that_fails_keeps_the_old_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    room = tmp_path / "room"
    room.mkdir()
    stats = []

    async def scenario() -> None:
        files = LogFiles()
        file = files.open(str(room / "log"))
        file.write("before\n")
        room.rename(tmp_path / "moved")
        files.reopen()
        file.write("after\n")
        files.close()
        stats.append(files.stats.reopen_failed)

    with caplog.at_level(logging.ERROR, "file"):
        asyncio.run(scenario())
    assert (tmp_path / "moved" / "log").read_text() == "before\nafter\n"
    assert stats == [1]
    assert "cannot open" in caplog.text


def test_a_full_disk_costs_lines_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> LogFiles:
        files = LogFiles()
        files.open("/dev/full").write("lost\n")
        files.close()
        return files

    with caplog.at_level(logging.ERROR, "file"):
        files = asyncio.run(scenario())
    assert files.stats.write_failed == 1
    assert "cannot write to '/dev/full': No space left on device: 1 lines are lost" in caplog.text


def test_a_disk_that_does_not_move_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A pipe that nobody reads is the slowest disk there is."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    async def scenario() -> None:
        files = LogFiles()
        files.flush_bytes = 1
        file = files.open(str(pipe))
        for _ in range(64):
            file.write("x" * 8191 + "\n")
        await asyncio.sleep(0)
        assert files.stats.written < files.stats.taken == 64 * 8192
        os.set_blocking(reader, True)
        left = 64 * 8192
        async with asyncio.timeout(PATIENCE):
            while left:
                left -= len(await asyncio.to_thread(os.read, reader, 65536))
        files.close()

    asyncio.run(scenario())
    os.close(reader)


def test_text_that_never_was_on_the_wire_becomes_utf8(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = LogFiles()
        files.open(str(tmp_path / "log")).write("caf\xc3\xa9 €\n")
        files.close()

    asyncio.run(scenario())
    assert (tmp_path / "log").read_text() == "café €\n"


def test_a_path_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unable to open file '/nowhere/log': No such file or directory"):
        LogFiles().open("/nowhere/log")
