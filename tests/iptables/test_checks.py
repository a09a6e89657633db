"""What cannot be meant is refused, in one line that names the flag."""

import pytest

from meshproxy.iptables.checks import check
from meshproxy.iptables.errors import SetupError

from .planning import configured

MANY = ",".join(map(str, range(65)))


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("-b 80,http-but-wrong", "(-b): 'http-but-wrong' is no port"),
        ("-b 80,*", "'*' stands alone"),
        ("-d 65536", "(-d): '65536' is no port"),
        ("-q -1", "(-q): '-1' is no port"),
        ("-o 80:x", "(-o): '80:x' is no port"),
        ("-p 0", "(-p): '0' is no port"),
        ("-z x", "(-z): 'x' is no port"),
        ("-e 70000", "(-e): '70000' is no port"),
        ("-i 10.0.0.0", '(-i): "10.0.0.0" has no /length'),
        ("-i 10.0.0.0/8,*", '(-i): "*" has no /length'),
        ("-x 10.0.0.0/40", "(-x): the prefix length"),
        ("-x *", "(-x) is '*'"),
        ("-c a/b", "(-c): 'a/b' is no name of an interface"),
        ('-c eth"0', "is no name of an interface"),
        ("-k !eth0", "is no name of an interface"),
        ("-k sixteen-letters-", "(-k): 'sixteen-letters-' is no name"),
        ("-m TPROXY -t x", "(-t): 'x' is no number"),
        ("-m TPROXY -r main", "(-r): 'main' is no number"),
        ("--force-iptables-binary new", "'new': give legacy or nft"),
        ("--cleanup-only --force-apply", "contradict"),
        ("--cleanup-only --run-validation", "contradict"),
        ("--cleanup-only --skip-rule-apply", "contradict"),
        ("--skip-rule-apply --reconcile", "contradict"),
        ("--skip-rule-apply --force-apply", "contradict"),
        ("--native-nftables --force-iptables-binary nft", "contradict"),
    ],
)
def test_refused(flags: str, named: str) -> None:
    with pytest.raises(SetupError) as caught:
        check(configured(*flags.split()), print)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ISTIO_OUTBOUND_OWNER_GROUPS": MANY}, "names 65 groups, and one rule holds 64"),
        ({"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": "10.0.0.0/8"}, "no IPv4 loopback range"),
        ({"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": "127.0.0.0/7"}, "no IPv4 loopback range"),
        ({"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": "::1/128"}, "no IPv4 loopback range"),
        ({"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": ""}, "has no /length"),
    ],
)
def test_refused_variables(variables: dict[str, str], named: str) -> None:
    with pytest.raises(SetupError, match=named):
        check(configured(**variables), print)


@pytest.mark.parametrize(
    "flags",
    [
        "",
        "-b * -i * -x 10.0.0.0/8 -d 15090,",
        "-b 80,8000:9000,http -o 53",
        "-i 10.0.0.0/8,fd00::/8,::ffff:10.0.0.0/104 -c lo,veth+",
        "--cleanup-only --reconcile",
        "--skip-rule-apply --run-validation --dry-run",
        "--native-nftables -b 8000-9000",
    ],
)
def test_accepted(flags: str) -> None:
    check(configured(*flags.split()), pytest.fail)


def test_many_groups_may_be_excluded() -> None:
    check(configured(ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE=MANY), pytest.fail)


def test_an_unknown_mode_is_redirect_with_a_warning() -> None:
    warnings: list[str] = []
    config = configured("-m", "tproxy")
    check(config, warnings.append)
    assert not config.tproxy
    assert warnings == [
        "--istio-inbound-interception-mode (-m): 'tproxy' is neither REDIRECT nor TPROXY, REDIRECT it is"
    ]
