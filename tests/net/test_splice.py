"""Pipes: their size follows the limit, and none is lost."""

import gc
import os

import pytest

from meshproxy.net.splice import Pipes, pipe_size


def open_files() -> int:
    """Descriptors, but for those that tests before this one left to the collector."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("limit", "size"), [(1, 4096), (4096, 4096), (32 * 1024, 32 * 1024), (100_000, 65536), (1 << 30, 256 * 1024)]
)
def test_size_stays_below_the_limit(limit: int, size: int) -> None:
    assert pipe_size(limit) == size


def test_pipes_are_used_again() -> None:
    pipes = Pipes(65536)
    before = open_files()
    first = pipes.take()
    pipes.give(first)
    assert pipes.take() == first
    pipes.give(first)
    pipes.close()
    assert open_files() == before


def test_a_pipe_that_is_not_empty_is_closed() -> None:
    pipes = Pipes(65536)
    ends = pipes.take()
    os.write(ends[1], b"x")
    pipes.drop(ends)
    for end in ends:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(end)


def test_only_so_many_are_kept() -> None:
    pipes = Pipes(4096)
    before = open_files()
    taken = [pipes.take() for _ in range(100)]
    for ends in taken:
        pipes.give(ends)
    assert open_files() == before + 2 * 64
    pipes.close()
    assert open_files() == before
