import time

import pytest
import uvloop

from meshproxy.process.late_loop import LateLoop


def test_the_clock_is_the_one_of_the_loop() -> None:
    assert abs(LateLoop().time() - uvloop.new_event_loop().time()) < 1
    assert LateLoop().time is time.monotonic


def test_has_the_methods_of_the_loop_it_is_given() -> None:
    late, loop = LateLoop(), uvloop.new_event_loop()
    kept = late.call_soon
    late.bind(loop)
    heard: list[int] = []
    kept(heard.append, 1)
    late.call_soon(heard.append, 2)
    late.call_soon(loop.stop)
    loop.run_forever()
    assert heard == [1, 2]
    assert "call_later" in vars(late)
    loop.close()


def test_has_no_secrets() -> None:
    with pytest.raises(AttributeError):
        _ = LateLoop()._ready
