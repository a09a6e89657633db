"""Memory of processes that share pages."""

import os
import signal

from meshproxy.observe.memory import heap, memory, memory_of_all

MIB = 1 << 20


def test_children_count_and_shared_pages_count_once() -> None:
    block = bytearray(b"x" * 64 * MIB)
    alone = memory_of_all()[1]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b".")
        signal.pause()
        os._exit(0)
    os.read(reader, 1)
    try:
        together = memory_of_all()[1]
        assert memory(child)[1] < memory()[1] + MIB
        # The block is in both, and is counted once.
        assert alone - 32 * MIB < together < alone + 32 * MIB
        assert heap() > len(block)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_process_that_is_gone_has_none() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert memory(child) == (0, 0)
