import pytest

from meshproxy.net import randomness


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(randomness, "_SEED", "7")
    monkeypatch.setattr(randomness, "_process", 0)
    monkeypatch.setattr(randomness, "_sources", {})


def draws(purpose: str) -> list[int]:
    return [randomness.source(purpose).getrandbits(64) for _ in range(3)]


def test_what_a_seed_gives_is_the_same_in_every_run(seeded: None) -> None:
    assert randomness.source("faults").randrange(1000) == 293


def test_sources_do_not_depend_on_each_other(seeded: None) -> None:
    alone = draws("faults")
    randomness.sow(0)
    draws("balancing")
    assert draws("faults") == alone


def test_each_worker_draws_its_own_and_draws_it_again(seeded: None) -> None:
    drawn = []
    for process in (1, 2, 1):
        randomness.sow(process)
        drawn.append(draws("faults"))
    assert drawn[0] == drawn[2] != drawn[1]


def test_without_a_seed_forks_differ(seeded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(randomness, "_SEED", "")
    randomness.source("faults")
    randomness.sow(1)
    first = draws("faults")
    randomness.sow(1)
    assert draws("faults") != first
