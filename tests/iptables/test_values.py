"""Values of flags are read as Go reads them."""

import pytest

from meshproxy.iptables.values import parse_bool, parse_duration, parse_uint16


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "True", "TRUE"])
def test_truths(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "False", "FALSE"])
def test_untruths(text: str) -> None:
    assert parse_bool(text) is False


@pytest.mark.parametrize("text", ["", "yes", "tRue", " true"])
def test_neither(text: str) -> None:
    with pytest.raises(ValueError):
        parse_bool(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("15002", 15002), ("0x3a9A", 15002), ("0b101", 5), ("0o17", 15), ("017", 15), ("65535", 65535)],
)
def test_numbers(text: str, value: int) -> None:
    assert parse_uint16(text) == value


@pytest.mark.parametrize("text", ["", "65536", "-1", "+1", " 1", "1 ", "x", "08", "0x", "1.0", "٣"])
def test_no_numbers(text: str) -> None:
    with pytest.raises(ValueError):
        parse_uint16(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("300ms", 0.3),
        ("1m2.5s", 62.5),
        ("1h", 3600),
        ("0", 0),
        (".5s", 0.5),
        ("-2s", -2),
        ("1000us", 1e-3),
        ("7µs", 7e-6),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5d", "1.2.3s", ".s", "-", "5sec"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)
