"""Tokens come back steadily, never beyond the maximum."""

from meshproxy.net.token_bucket import TokenBucket


def test_tokens_come_back_little_by_little() -> None:
    now = 0.0
    bucket = TokenBucket(2, 4, 1.0, lambda: now)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now = 0.2
    assert not bucket.take()
    now = 0.3
    assert [bucket.take(), bucket.take()] == [True, False]
    now = 100.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]
