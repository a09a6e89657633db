"""Runtime values: what a text or a plain value can be taken for, and how fractions are decided."""

import pytest

from meshproxy.net.runtime import Entry, Fraction, Runtime, entry_of, parse_entry

HALF = (5000, 10_000)


@pytest.mark.parametrize(
    "value, entry",
    [
        (100, Entry("100", 100, True)),
        (0, Entry("0", 0, False)),
        (1.5, Entry("1.5", 1)),
        (-1, Entry("-1", None, True)),
        (1_000_000, Entry("1e+06", 1_000_000, True)),
        (1e20, Entry("1e+20")),
        (True, Entry("true", None, True)),
        ("true", Entry("true")),
        ("100", Entry("100", 100, True)),
        (" 0x64 ", Entry(" 0x64 ", 100, True)),
        ("1_0", Entry("1_0")),
        ("\u0661", Entry("\u0661")),
        ("foo", Entry("foo")),
    ],
)
def test_plain_values(value: object, entry: Entry) -> None:
    assert entry_of(value) == entry


@pytest.mark.parametrize(
    "text, entry",
    [
        ("100", Entry("100", 100, True)),
        ("1e2", Entry("1e2", 100, True)),
        ("yes", Entry("yes", None, True)),
        ("Off", Entry("Off", None, False)),
        ("yEs", Entry("yEs")),
        ("", Entry("")),
        ("# all of it\n7", Entry("# all of it\n7", 7, True)),
        ("'100'", Entry("'100'")),
        ("[1, 2]", Entry("[1, 2]")),
        ("a: 100", Entry("a: 100")),
        ("nan", Entry("nan")),
        ('{"numerator": 5000, "denominator": "TEN_THOUSAND"}', HALF),
        ("numerator: 5000\ndenominator: TEN_THOUSAND", HALF),
        ("numerator: some", (0, 100)),
        ('numerator: "5"', (0, 100)),
    ],
)
def test_texts(text: str, entry: Entry | tuple[int, int]) -> None:
    expected = Entry(text, fraction=entry) if isinstance(entry, tuple) else entry
    assert parse_entry(text) == expected


@pytest.mark.parametrize("text", ["{", "a: b: c", '"open', "*nobody"])
def test_what_is_not_yaml(text: str) -> None:
    with pytest.raises(ValueError, match="not YAML"):
        parse_entry(text)


def test_a_fraction_as_it_is_shown() -> None:
    shown = entry_of({"numerator": 5, "denominator": "MILLION"})
    assert shown.fraction == (5, 1_000_000)
    assert shown.text.startswith('fields {\n  key: "denominator"\n  value {\n    string_value: "MILLION"\n  }\n}\n')


def test_later_layers_win() -> None:
    runtime = Runtime()
    runtime.set_layer("low", {"a": 1, "b": 1})
    runtime.set_layer("high", {"a": 2})
    assert (runtime.integer("a", 0), runtime.integer("b", 0), runtime.integer("c", 7), runtime.count) == (2, 1, 7, 2)
    runtime.set_layer("low", {"b": "text"})
    assert [name for name, _ in runtime.layers] == ["low", "high"]
    assert runtime.integer("b", 9) == 9


def test_truth_values() -> None:
    runtime = Runtime()
    runtime.set_layer("s", {"on": True, "one": 1, "none": 0, "text": "false"})
    assert [runtime.boolean(key, False) for key in ("on", "one", "none", "text")] == [True, True, False, False]
    assert [runtime.boolean(key, True) for key in ("none", "text", "nothing")] == [False, True, True]


@pytest.mark.parametrize(
    "value, random, inside",
    [
        (None, 29, True), (None, 30, False), (60, 59, True), (60, 60, False), (101, 7, True), (0, 0, False),
        ({"numerator": 5000, "denominator": "TEN_THOUSAND"}, 4999, True),
        ({"numerator": 5000, "denominator": "TEN_THOUSAND"}, 5000, False),
        ("foo", 29, True), (True, 30, False),
    ],
)  # fmt: skip
def test_fractions_by_a_stable_value(value: object, random: int, inside: bool) -> None:
    runtime = Runtime()
    runtime.set_layer("s", {} if value is None else {"k": value})
    assert runtime.enabled(Fraction(30, 100, "k"), random) is inside
    assert runtime.enabled(Fraction(100)) and not runtime.enabled(Fraction(0))
    # By chance: 300 of 1000, standard deviation 14.
    assert 200 < sum(runtime.enabled(Fraction(30)) for _ in range(1000)) < 400
