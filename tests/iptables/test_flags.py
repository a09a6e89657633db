"""A command line as Go programs read it."""

import pytest

from meshproxy.iptables.errors import UsageError
from meshproxy.iptables.flags import Flag, Flags, HelpAsked, Value


def parse(*arguments: str) -> dict[str, Value]:
    flags = Flags(
        [
            Flag("port", "port", "Where to", short="p", default="1"),
            Flag("uid", "uid", "Who", short="u"),
            Flag("dry-run", "dry", "Only look", short="n", kind="bool", default=False),
            Flag("all", "all", "Everything", short="a", kind="bool", default=False),
            Flag("probe", "probe", "A number", kind="uint16", default=7),
            Flag("wait", "wait", "How long", kind="duration", default=5.0),
            Flag("target", "target", "Files", kind="stringArray", default=["here"]),
        ]
    )
    flags.parse(arguments)
    return {name: value for name, value in flags.values.items() if value != Flags(flags.flags).values[name]}


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ("--port 80", {"port": "80"}),
        ("--port=80", {"port": "80"}),
        ("--port=a=b", {"port": "a=b"}),
        ("--port=", {"port": ""}),
        ("-p 80", {"port": "80"}),
        ("-p80", {"port": "80"}),
        ("-p=80", {"port": "80"}),
        # One letter after the sign is not enough for pflag to see an assignment.
        ("-p=", {"port": "="}),
        ("-p --dry-run", {"port": "--dry-run"}),
        ("-n", {"dry": True}),
        ("-na", {"dry": True, "all": True}),
        ("-nap80", {"dry": True, "all": True, "port": "80"}),
        ("-n=false", {}),
        ("--dry-run --dry-run=false", {}),
        ("--dry-run true", {"dry": True}),
        ("--probe 0x10 --wait 1m", {"probe": 16, "wait": 60.0}),
        ("--target a --target b", {"target": ["a", "b"]}),
        ("-p 1 -p 2", {"port": "2"}),
        ("word -p 2 - word", {"port": "2"}),
        ("-p 2 -- -p 3 --bogus", {"port": "2"}),
    ],
)
def test_reading(arguments: str, values: dict[str, Value]) -> None:
    assert parse(*arguments.split()) == values


def test_an_empty_argument_is_a_value() -> None:
    assert parse("-p", "", "-u", "") == {"port": ""}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--bogus", "unknown flag: --bogus"),
        ("--bogus=1", "unknown flag: --bogus"),
        ("-nx", "unknown shorthand flag: 'x' in -nx"),
        ("-p", "flag needs an argument: 'p' in -p"),
        ("--port", "flag needs an argument: --port"),
        ("--=x", "bad flag syntax: --=x"),
        ("---p", "bad flag syntax: ---p"),
        ("--dry-run=maybe", 'invalid argument "maybe" for "-n, --dry-run" flag: "maybe" is neither true nor false'),
        ("--probe 70000", 'invalid argument "70000" for "--probe" flag: "70000" is out of range, the most is 65535'),
        ("--wait 5", 'invalid argument "5" for "--wait" flag: missing unit in duration "5", as in 5s or 300ms'),
    ],
)
def test_complaints(arguments: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(*arguments.split())
    assert str(caught.value) == complaint


@pytest.mark.parametrize("arguments", ["--help", "-h", "-nh", "-p 1 --help"])
def test_help(arguments: str) -> None:
    with pytest.raises(HelpAsked):
        parse(*arguments.split())
