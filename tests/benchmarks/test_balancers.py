"""The benchmark of balancers runs, and has a line for each policy."""

import pytest

from benchmarks.upstream.balancers import POLICIES, main


def test_every_policy_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(20)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line[:20].strip() for line in lines] == list(POLICIES)
    assert all(float(word) >= 0 for line in lines for word in line[20:].split())
