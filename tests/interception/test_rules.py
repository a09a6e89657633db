"""The init container's rules in a pod's life: applied again, repaired, taken away; what others have put there stays."""

import re
import sys
from collections.abc import Iterator

import pytest

from tests.interception.world import FREE_GROUP, INIT, init
from tests.kit.netns import APP, ROOT, Namespace, Switch, missing

FOREIGN = ("-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "9999", "-j", "RETURN")


@pytest.fixture
def pod() -> Iterator[Namespace]:
    with Switch() as switch:
        yield switch.pod("a", "10.244.0.2/16", "fd00:244::2/64")


def rules(pod: Namespace) -> dict[str, list[str]]:
    """What there is, by address family, without counters and dates; tables that nobody has touched are not there."""
    found = {}
    for program in ("iptables-save", "ip6tables-save"):
        done = pod.run(ROOT, program)
        assert done.returncode == 0, done.stderr
        lines = re.sub(r" \[\d+:\d+\]", "", done.stdout).splitlines()
        found[program] = sorted(line for line in lines if line.startswith("-A") or "ISTIO" in line)
    return found


def iptables(pod: Namespace, *words: str) -> str:
    done = pod.run(ROOT, "iptables", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("mode", ["REDIRECT", "TPROXY"])
def test_rules_are_kept_repaired_and_taken_away(pod: Namespace, mode: str) -> None:
    iptables(pod, *FOREIGN)
    before = rules(pod)
    init(pod, "-m", mode)
    applied = rules(pod)
    assert len(applied["iptables-save"]) > 20 and len(applied["ip6tables-save"]) > 20

    init(pod, "-m", mode)
    assert rules(pod) == applied

    iptables(pod, "-t", "nat", "-D", "ISTIO_OUTPUT", "-d", "10.97.0.0/16", "-j", "RETURN")
    init(pod, "-m", mode, "--reconcile")
    assert rules(pod) == applied

    init(pod, "-m", mode, "--cleanup-only")
    assert rules(pod) == before


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_without_net_admin_one_line_says_what_to_check(pod: Namespace) -> None:
    done = pod.run(APP, "env", f"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE={FREE_GROUP}", sys.executable, "-m", "meshproxy",
                   "iptables", *INIT)  # fmt: skip
    assert done.returncode == 1
    assert "NET_ADMIN" in (done.stdout + done.stderr).splitlines()[-1]
    assert rules(pod) == {"iptables-save": [], "ip6tables-save": []}
