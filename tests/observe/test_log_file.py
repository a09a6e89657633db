"""Log files: nothing lost, nothing blocked, renamed and reopened, and what happens when a disk is full."""

import asyncio
import gc
import logging
import os
import resource
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from meshproxy.observe.log_file import LogFiles

PATIENCE = 10.0


async def until_written(files: LogFiles) -> None:
    """Until the threads have dealt with everything that was handed to them."""
    async with asyncio.timeout(PATIENCE):
        while any(file.waiting for file in files.stats.files):
            await asyncio.sleep(0.001)


def counted(files: LogFiles) -> dict[str, int]:
    return {name: int(value) for _, name, value in files.stats.rows()}


def test_lines_may_be_made_at_the_end_of_the_turn(tmp_path: Path) -> None:
    """In order with those that are made at once; one that cannot be made costs no other; none is lost at a stop."""
    made: list[str] = []

    def form(exchange: str) -> str:
        if exchange == "bad":
            raise ValueError(exchange)
        made.append(exchange)
        return exchange + "\n"

    async def scenario() -> None:
        files = LogFiles()
        file = files.open(str(tmp_path / "log"))
        for each in ("a", "bad", "b"):
            file.write_later(form, each)
        assert made == []
        await asyncio.sleep(0)
        assert made == ["a", "b"]
        file.write_later(form, "c")
        file.write("at once\n")
        file.write_later(form, "d")
        files.close()

    asyncio.run(scenario())
    assert (tmp_path / "log").read_text() == "a\nb\nc\nat once\nd\n"


def test_lines_wait_until_enough_are_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = LogFiles()
        files.flush_bytes = 20
        file = files.open(str(tmp_path / "log"))
        file.write("0123456789\n")
        assert files.stats.write_buffered == 0
        file.write("0123456789\n")
        await until_written(files)
        assert (tmp_path / "log").read_text() == "0123456789\n" * 2
        assert counted(files) == {
            "flushed_by_timer": 0, "reopen_failed": 0, "write_buffered": 2, "write_completed": 1, "write_failed": 0,
            "write_total_buffered": 0,
        }  # fmt: skip
        files.stats.reset()
        assert not any(counted(files).values())
        files.close()

    asyncio.run(scenario())


def test_lines_wait_no_longer_than_the_interval(tmp_path: Path) -> None:
    async def scenario() -> None:
        files = LogFiles()
        files.flush_seconds = 0.01
        files.open(str(tmp_path / "log")).write("one\n")
        async with asyncio.timeout(PATIENCE):
            while not (tmp_path / "log").stat().st_size:
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
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("log ")]


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
        stats.append(counted(files)["reopen_failed"])

    with caplog.at_level(logging.ERROR, "file"):
        asyncio.run(scenario())
    assert (tmp_path / "moved" / "log").read_text() == "before\nafter\n"
    assert stats == [1]
    assert "cannot open" in caplog.text


def test_a_full_disk_costs_lines_is_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> LogFiles:
        files = LogFiles()
        files.flush_bytes = 1
        file = files.open("/dev/full")
        for _ in range(3):
            file.write("lost\n")
        files.close()
        return files

    with caplog.at_level(logging.ERROR, "file"):
        files = asyncio.run(scenario())
    assert (counted(files)["write_failed"], counted(files)["write_completed"]) == (3, 0)
    assert caplog.messages == ["cannot write to '/dev/full': No space left on device: lines are lost until it can be"]


def test_a_disk_with_room_again_is_written_to_in_whole_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A limit on the size of files ends a write in the middle of a line, as a disk that fills does."""
    path = tmp_path / "log"

    async def scenario() -> None:
        files = LogFiles()
        files.flush_bytes = 1
        file = files.open(str(path))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (12, hard))
        try:
            for line in ("fits\n", "this does not fit\n", "nor this\n"):
                file.write(line)
                await until_written(files)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, ignored)
        file.write("again\n")
        files.close()

    with caplog.at_level(logging.WARNING, "file"):
        asyncio.run(scenario())
    assert path.read_text() == "fits\nthis do\nagain\n"
    assert caplog.messages[-1] == f"'{path}' can be written again: 2 lines are lost"


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
        assert file.waiting > 0
        os.set_blocking(reader, True)
        left = 64 * 8192
        async with asyncio.timeout(PATIENCE):
            while left:
                left -= len(await asyncio.to_thread(os.read, reader, 65536))
        files.close()

    asyncio.run(scenario())
    os.close(reader)


def test_a_pipe_that_nobody_opens_keeps_neither_the_start_nor_the_end_nor_other_files_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "pipe")

    async def scenario() -> None:
        files = LogFiles()
        files.flush_bytes = 1
        files.stop_seconds = 0.01
        files.waiting_bytes = 200_000
        pipe, other = files.open(str(tmp_path / "pipe")), files.open(str(tmp_path / "other"))
        for _ in range(8):
            pipe.write("x" * 65535 + "\n")
        other.write("not kept waiting\n")
        async with asyncio.timeout(PATIENCE):
            while other.waiting:
                await asyncio.sleep(0.001)
        assert pipe.waiting <= files.waiting_bytes
        assert counted(files)["write_failed"] >= 3
        files.close()

    with caplog.at_level(logging.ERROR, "file"):
        asyncio.run(scenario())
    assert (tmp_path / "other").read_text() == "not kept waiting\n"
    dropped, lost = caplog.messages
    assert "does not keep up" in dropped and "stands still" in lost
    # Whoever reads the pipe lets the thread end.
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    while any(thread.name.endswith("pipe") for thread in threading.enumerate()):
        with suppress(BlockingIOError):
            os.read(reader, 65536)
    os.close(reader)


def test_a_stream_that_somebody_made_non_blocking_loses_nothing(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    read: list[bytes] = []

    async def scenario() -> None:
        files = LogFiles()
        file = files.open(str(pipe))
        os.set_blocking(file.writer.fd, False)
        for _ in range(3000):
            file.write("x" * 99 + "\n")
        files.flush()
        os.set_blocking(reader, True)
        while sum(map(len, read)) < 300_000:
            read.append(await asyncio.to_thread(os.read, reader, 65536))
        files.close()
        assert counted(files)["write_failed"] == 0

    asyncio.run(scenario())
    os.close(reader)


def test_lines_in_a_pipe_stay_whole_beside_those_of_other_processes(tmp_path: Path) -> None:
    """What two write at once goes in pieces that the kernel keeps together."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    read: list[bytes] = []

    async def scenario() -> None:
        both = [LogFiles(), LogFiles()]
        for files, letter in zip(both, "ab", strict=True):
            file = files.open(str(pipe))
            for _ in range(1000):
                file.write(letter * 99 + "\n")
            files.flush()
        os.set_blocking(reader, True)
        while sum(map(len, read)) < 2 * 1000 * 100:
            read.append(await asyncio.to_thread(os.read, reader, 65536))
        for files in both:
            files.close()

    asyncio.run(scenario())
    os.close(reader)
    lines = b"".join(read).split(b"\n")
    assert {line for line in lines if line} == {b"a" * 99, b"b" * 99}


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
