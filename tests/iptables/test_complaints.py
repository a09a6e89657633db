"""What programs complain about, in one line."""

import pytest

from meshproxy.iptables.commands import Outcome
from meshproxy.iptables.complaints import explain, refused_line

TEXT = "*nat\n-A OUTPUT -j NONE\nCOMMIT\n"


@pytest.mark.parametrize(
    ("err", "line"),
    [
        ("iptables-restore: line 2 failed", "-A OUTPUT -j NONE"),
        (
            "iptables-nft-restore v1.8.9: bad\nError occurred at line: 2\nTry `iptables-nft-restore -h'",
            "-A OUTPUT -j NONE",
        ),
        ("/dev/stdin:2:1-9: Error: syntax error", "-A OUTPUT -j NONE"),
        ("iptables-restore: line 3 failed", ""),
        ("iptables-restore: line 9 failed", ""),
        ("something in the line of fire", ""),
        ("", ""),
    ],
)
def test_the_line_that_was_refused(err: str, line: str) -> None:
    assert refused_line(err, TEXT) == line


@pytest.mark.parametrize(
    ("err", "expected"),
    [
        ("# Warning: legacy tables present\niptables v1.8.9 (nf_tables): Permission denied (you must be root)\n",
         "p: Permission denied (you must be root): the container needs the capabilities NET_ADMIN and NET_RAW, "
         "or to be root"),
        ("iptables-restore: line 2 failed",
         "p: line 2 failed (at '-A OUTPUT -j NONE'): check the flag that this rule comes from"),
        ("iptables: No chain/target/match by that name.\nTry `iptables -h'",
         "p: No chain/target/match by that name.: does this kernel have the modules for it?"),
        ("Another app is currently holding the xtables lock.",
         "p: Another app is currently holding the xtables lock.: another program changes the rules; try again"),
        ("", "p: exit status 4: does this kernel support it?"),
    ],
)  # fmt: skip
def test_one_line_that_says_what_to_check(err: str, expected: str) -> None:
    assert explain("p", Outcome(4, "", err), TEXT) == expected
