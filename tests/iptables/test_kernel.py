"""The rules in a real kernel: applied, found again, replaced, removed, and put back when something fails."""

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from .planning import plan, script
from .pod import Pod

USUAL = (
    "-p",
    "15001",
    "-z",
    "15006",
    "-u",
    "1337",
    "-m",
    "REDIRECT",
    "-i",
    "*",
    "-x",
    "",
    "-b",
    "*",
    "-d",
    "15090,15021",
)
FULL = ("-u", "1337", "-i", "10.0.0.0/8,fd00::/8", "-x", "10.1.0.0/16", "-b", "*", "-d", "22", "-q", "3306", "-o", "25",
        "-c", "veth9", "-k", "kv0", "--drop-invalid", "--redirect-dns", "--dual-stack")  # fmt: skip
DNS = {"MESHPROXY_TEST_DNS_SERVERS": "10.0.0.10,fd00::a"}
LOOP = "! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner"


def planned(*flags: str, v6: bool = False, **environment: str) -> int:
    """How many rules the kernel should have."""
    return sum(line.startswith(("-A", "-I")) for line in plan(*flags, v6=v6, **environment))


def test_what_the_kernel_has(pod: Pod) -> None:
    pod.apply(*USUAL)
    assert pod.rules() == [
        "-A PREROUTING -p tcp -j ISTIO_INBOUND",
        "-A OUTPUT -j ISTIO_OUTPUT",
        *(f"-A ISTIO_INBOUND -p tcp -m tcp --dport {port} -j RETURN" for port in (15008, 15090, 15021)),
        "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
        "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006",
        "-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN",
        f"-A ISTIO_OUTPUT {LOOP} --uid-owner 1337 -j ISTIO_IN_REDIRECT",
        "-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN",
        "-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN",
        f"-A ISTIO_OUTPUT {LOOP} --gid-owner 1337 -j ISTIO_IN_REDIRECT",
        "-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN",
        "-A ISTIO_OUTPUT -m owner --gid-owner 1337 -j RETURN",
        "-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN",
        "-A ISTIO_OUTPUT -j ISTIO_REDIRECT",
        "-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001",
    ]
    assert pod.rules("ip6tables-nft") == pod.rules("iptables-legacy") == []


@pytest.mark.parametrize("binary", ["nft", "legacy"])
@pytest.mark.parametrize("mode", ["REDIRECT", "TPROXY"])
def test_a_life(pod6: Pod, binary: str, mode: str) -> None:
    """Applied, applied again, tampered with, refused, reconciled, removed."""
    four, six = f"iptables-{binary}", f"ip6tables-{binary}"
    flags = (*FULL, "-m", mode, "--force-iptables-binary", binary)
    pod6.apply(*flags, **DNS)
    applied = pod6.everything()
    counts = {name: len(pod6.rules(name)) for name in (four, six)}
    assert counts == {four: planned(*flags, **DNS), six: planned(*flags, v6=True, **DNS)}
    assert ("inet6 ::6/128 scope global" in "\n".join(applied)) is True
    assert ("from all fwmark 0x539 lookup 133" in "\n".join(applied)) is (mode == "TPROXY")
    pod6.apply(*flags, **DNS)
    assert pod6.everything() == applied

    pod6.run(six, "-t", "nat", "-D", "ISTIO_OUTPUT", "-m", "owner", "--uid-owner", "1337", "-j", "RETURN")
    tampered = pod6.everything()
    refusal = pod6.refuse(*flags, **DNS)
    assert "(IPv6) exists already" in refusal or "(IPv4) exists already" in refusal
    assert "--reconcile replaces the rules" in refusal
    assert pod6.everything() == tampered

    pod6.apply(*flags, "--reconcile", **DNS)
    assert {name: len(pod6.rules(name)) for name in (four, six)} == counts
    assert not [line for line in pod6.saved(four) + pod6.saved(six) if "guardrail" in line]

    pod6.apply(*flags, "--cleanup-only", **DNS)
    assert pod6.rules(four) == pod6.rules(six) == []
    assert not [line for line in pod6.everything() if "ISTIO" in line or "::6" in line or "lookup 133" in line]


def test_what_is_in_sync_but_for_one_rule_is_seen(pod: Pod) -> None:
    pod.apply(*USUAL)
    # As many rules as before, and another one.
    pod.run("iptables", "-t", "nat", "-D", "ISTIO_INBOUND", "-p", "tcp", "--dport", "15021", "-j", "RETURN")
    pod.run("iptables", "-t", "nat", "-A", "ISTIO_INBOUND", "-p", "tcp", "--dport", "15022", "-j", "RETURN")
    assert "a rule is missing: ISTIO_INBOUND -p tcp --dport 15021" in pod.refuse(*USUAL)
    pod.apply(*USUAL, "--reconcile")
    assert "15022" not in "\n".join(pod.rules())


def test_rules_that_are_there_may_be_forced_and_then_fail(pod: Pod) -> None:
    pod.apply(*USUAL)
    before = pod.everything()
    assert "exists already" in pod.refuse(*USUAL, "--force-apply")
    assert pod.everything() == before


def test_rules_of_others_survive(pod6: Pod) -> None:
    for program in ("iptables", "ip6tables"):
        pod6.run(program, "-t", "nat", "-N", "KUBE_SERVICES")
        pod6.run(program, "-t", "nat", "-A", "KUBE_SERVICES", "-j", "RETURN")
        pod6.run(program, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "-j", "KUBE_SERVICES")
        # Just like a guardrail but for its mark.
        pod6.run(program, "-A", "INPUT", "-p", "tcp", "-j", "DROP")
    foreign = pod6.saved("iptables-nft"), pod6.saved("ip6tables-nft")
    pod6.apply(*USUAL, "--dual-stack")
    assert set(foreign[0]) < set(pod6.saved("iptables-nft"))
    pod6.run("iptables", "-t", "nat", "-F", "ISTIO_INBOUND")
    pod6.apply(*USUAL, "--dual-stack", "--reconcile")
    assert set(foreign[1]) < set(pod6.saved("ip6tables-nft"))
    pod6.apply(*USUAL, "--dual-stack", "--cleanup-only")
    assert (pod6.saved("iptables-nft"), pod6.saved("ip6tables-nft")) == foreign


@pytest.mark.parametrize("kind", [(), ("--force-iptables-binary", "legacy"), ("--native-nftables",)])
def test_two_capabilities_are_enough(pod6: Pod, kind: tuple[str, ...]) -> None:
    """Root with NET_ADMIN and NET_RAW alone, as an init container is."""
    become = ["setpriv", "--bounding-set=-all,+net_admin,+net_raw", "--inh-caps=-all", "--no-new-privs"]
    command = [*become, sys.executable, "-m", "meshproxy", "iptables", *FULL, "-m", "TPROXY", *kind]
    for flags in ((), ("--reconcile",), ("--cleanup-only",)):
        done = pod6.attempt(*command, *flags, environment=DNS)
        assert done.returncode == 0, done.stderr
    # It cannot become the proxy's user, and says that this matters.
    done = pod6.attempt(*command, "--skip-rule-apply", "--run-validation", "--probe-timeout=100ms", environment=DNS)
    assert done.returncode == 126
    assert "is this the proxy's user?" in done.stderr


def test_nothing_passes_while_rules_are_replaced(pod: Pod, tmp_path: Path) -> None:
    """What iptables-restore is given, in order: guardrails, old rules away, new ones, guardrails away."""
    pod.apply(*USUAL)
    some_programs(tmp_path, *SET[:2], "nft")
    (tmp_path / "iptables-nft-restore").write_text(
        f"#!/bin/sh\necho >> {tmp_path}/log\ntee -a {tmp_path}/log | {shutil.which('iptables-nft-restore')} $*\n"
    )
    (tmp_path / "iptables-nft-restore").chmod(stat.S_IRWXU)
    pod.apply(*USUAL, "-o", "25", "--reconcile", PATH=f"{tmp_path}:/bin")
    texts = (tmp_path / "log").read_text().split("\n\n")
    verbs = [{line.split()[0] for line in text.splitlines() if line.startswith("-")} for text in texts]
    assert verbs == [{"-I"}, {"-D", "-F", "-X"}, {"-N", "-A"}, {"-D"}]
    assert [text.count("-j DROP") for text in texts] == [6, 0, 0, 6]
    assert len(pod.rules()) == 19


def test_cleaning_needs_no_flags_for_chains(pod6: Pod) -> None:
    pod6.apply("-u", "1337", "-b", "80", "-m", "TPROXY", "--dual-stack", "--redirect-dns", **DNS)
    pod6.apply("--cleanup-only")
    assert pod6.rules() == pod6.rules("ip6tables-nft") == []
    assert "fwmark" not in pod6.run("ip", "rule") + pod6.run("ip", "-6", "rule")


def test_cleaning_finds_the_other_kind_of_tables(pod: Pod) -> None:
    pod.apply(*USUAL, "--force-iptables-binary", "legacy")
    assert pod.rules("iptables-legacy")
    pod.apply("--cleanup-only", "--force-iptables-binary", "nft")
    assert pod.rules("iptables-legacy") == []


@pytest.mark.parametrize("flags", [USUAL, (*USUAL, "-o", "25", "--reconcile"), ("--cleanup-only",)])
def test_guardrails_of_a_run_that_was_killed_go(pod6: Pod, flags: tuple[str, ...]) -> None:
    """Whatever is run next: in sync, replaced or removed, traffic passes again."""
    pod6.apply(*USUAL, "--dual-stack")
    for program in ("iptables", "ip6tables"):
        for protocol in ("tcp", "udp"):
            guardrail = ("-p", protocol, "-m", "comment", "--comment", "istio guardrail", "-j", "DROP")
            pod6.run(program, "-I", "OUTPUT", "1", *guardrail)
    done = pod6.init(*flags, "--dual-stack")
    assert done.returncode == 0
    assert done.stderr.count("had left all traffic blocked") == 2
    assert not [line for program in ("iptables-nft", "ip6tables-nft") for line in pod6.rules(program) if "DROP" in line]


@pytest.mark.parametrize(("there", "cleaner"), [((), ("--native-nftables",)), (("--native-nftables",), ())])
def test_cleaning_finds_rules_of_the_other_program(pod: Pod, there: tuple[str, ...], cleaner: tuple[str, ...]) -> None:
    pod.apply(*USUAL, *there)
    pod.apply("--cleanup-only", *cleaner)
    assert pod.rules() == []
    assert "istio" not in pod.run("nft", "list", "ruleset")


def test_cleaning_where_nothing_is(pod: Pod) -> None:
    pod.apply("--cleanup-only")
    assert pod.rules() == []


def test_from_tproxy_to_redirect(pod6: Pod) -> None:
    pod6.apply("-u", "1337", "-b", "*", "-m", "TPROXY", "--dual-stack")
    pod6.apply(*USUAL, "--reconcile")
    assert not [line for line in pod6.rules() if "MARK" in line or "TPROXY" in line]
    assert "fwmark" not in pod6.run("ip", "rule") + pod6.run("ip", "-6", "rule")
    assert pod6.rules("ip6tables-nft") == []
    again = pod6.everything()
    pod6.apply(*USUAL)
    assert pod6.everything() == again


class TestTheChoice:
    def test_rules_of_legacy_decide_for_legacy(self, pod: Pod) -> None:
        pod.run("iptables-legacy", "-t", "filter", "-A", "INPUT", "-s", "9.9.9.9/32", "-j", "DROP")
        pod.apply(*USUAL)
        assert len(pod.rules("iptables-legacy")) == 18
        assert pod.rules("iptables-nft") == []

    def test_empty_tables_of_legacy_decide_nothing(self, pod: Pod) -> None:
        pod.run("iptables-legacy", "-t", "nat", "-L")
        pod.apply(*USUAL)
        pod.apply(*USUAL)
        assert pod.rules("iptables-legacy") == []
        assert len(pod.rules("iptables-nft")) == 17

    def test_a_set_that_cannot_is_passed_by(self, pod: Pod, tmp_path: Path) -> None:
        some_programs(tmp_path, *SET[:3], *(f"iptables-legacy{suffix}" for suffix in ("", "-save", "-restore")))
        pod.run("iptables-legacy", "-A", "INPUT", "-s", "9.9.9.9/32", "-j", "DROP")
        failing_program(tmp_path, "iptables-legacy", "no kernel support")
        pod.apply(*USUAL, PATH=f"{tmp_path}:/bin")
        assert len(pod.rules()) == 17
        # And the other way round.
        pod.apply("--cleanup-only")
        (tmp_path / "iptables-legacy").unlink()
        some_programs(tmp_path, "iptables-legacy")
        pod.run("iptables-legacy", "-F", "INPUT")
        failing_program(tmp_path, "iptables-nft", "no kernel support")
        pod.apply(*USUAL, PATH=f"{tmp_path}:/bin")
        assert len(pod.rules("iptables-legacy")) == 17

    def test_the_plain_name_is_the_last_resort(self, pod: Pod, tmp_path: Path) -> None:
        some_programs(tmp_path, "iptables", "iptables-save", "iptables-restore")
        pod.apply(*USUAL, PATH=str(tmp_path))
        assert len(pod.rules()) == 17


def some_programs(directory: Path, *names: str) -> None:
    """A directory for PATH that has only these."""
    for name in names:
        program = shutil.which(name)
        assert program is not None
        # The program looks at its own name.
        (directory / name).symlink_to(program)


def failing_program(directory: Path, name: str, complaint: str) -> None:
    (directory / name).unlink(missing_ok=True)
    (directory / name).write_text(f"#!/bin/sh\necho '{complaint}' >&2\nexit 1\n")
    (directory / name).chmod(stat.S_IRWXU)


SET = [f"{family}-nft{suffix}" for family in ("iptables", "ip6tables") for suffix in ("", "-save", "-restore")]


class TestFailing:
    """One line that says what to check, status 1, and the namespace as it was."""

    def test_no_iptables(self, pod: Pod, tmp_path: Path) -> None:
        before = pod.everything()
        assert "there is no iptables in PATH" in pod.refuse(*USUAL, PATH=str(tmp_path))
        assert pod.everything() == before

    @pytest.mark.parametrize("forced", ["legacy", "nft"])
    def test_no_such_kind_of_iptables(self, pod: Pod, tmp_path: Path, forced: str) -> None:
        refusal = pod.refuse(*USUAL, "--force-iptables-binary", forced, PATH=str(tmp_path))
        assert f"there is no iptables-{forced} in PATH" in refusal

    def test_no_nft(self, pod: Pod, tmp_path: Path) -> None:
        assert "there is no nft in PATH" in pod.refuse(*USUAL, "--native-nftables", PATH=str(tmp_path))

    @pytest.mark.parametrize("flags", [(), ("--native-nftables",), ("--force-iptables-binary", "legacy")])
    def test_no_right_to_change_the_network(self, pod: Pod, flags: tuple[str, ...]) -> None:
        before = pod.everything()
        assert "needs the capabilities NET_ADMIN and NET_RAW" in pod.refuse(*USUAL, *flags, user=1337)
        assert pod.everything() == before

    def test_ipv6_without_ip6tables(self, pod6: Pod, tmp_path: Path) -> None:
        some_programs(tmp_path, *SET[:3], "nft")
        before = pod6.everything()
        refusal = pod6.refuse(*USUAL, "--dual-stack", PATH=str(tmp_path))
        assert refusal.startswith("IPv6 is on, and ip6tables cannot be used: there is no ip6tables in PATH")
        assert pod6.everything() == before
        # Without IPv6 nobody asks for it.
        pod6.apply(*USUAL, PATH=str(tmp_path))

    def test_a_later_table_fails(self, pod: Pod) -> None:
        """raw comes after nat."""
        before = pod.everything()
        refusal = pod.refuse(
            *USUAL, "--redirect-dns", MESHPROXY_TEST_DNS_SERVERS="10.0.0.10,10.0.0.999", MESHPROXY_TEST_IPV6="false"
        )
        assert "10.0.0.999" in refusal and "check the flag that this rule comes from" in refusal
        assert pod.everything() == before

    def test_the_second_family_fails(self, pod6: Pod, tmp_path: Path) -> None:
        some_programs(tmp_path, *SET, "nft")
        failing_program(tmp_path, "ip6tables-nft-restore", "ip6tables-restore: line 3 failed")
        pod6.run("iptables", "-A", "INPUT", "-s", "9.9.9.9/32", "-j", "DROP")
        before = pod6.everything()
        refusal = pod6.refuse(*USUAL, "--dual-stack", PATH=f"{tmp_path}:/bin")
        assert "ip6tables-nft-restore: line 3 failed (at '-N ISTIO_REDIRECT')" in refusal
        assert pod6.everything() == before

    @pytest.mark.parametrize("flags", [(), ("--native-nftables",)])
    def test_the_routes_fail(self, pod: Pod, flags: tuple[str, ...]) -> None:
        pod.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6")
        before = pod.everything()
        refusal = pod.refuse("-m", "TPROXY", "-b", "*", *flags, MESHPROXY_TEST_IPV6="true")
        assert refusal.startswith("cannot add the address ::6 on lo: Permission denied: is IPv6 off for lo")
        assert pod.everything() == before

    def test_replacing_fails(self, pod6: Pod, tmp_path: Path) -> None:
        """Half the old rules are there, the new ones cannot be: the half stays, and no guardrails."""
        pod6.apply(*USUAL, "--dual-stack")
        pod6.run("iptables", "-t", "nat", "-F", "ISTIO_INBOUND")
        before = pod6.everything()
        refusal = pod6.refuse(
            *USUAL, "--dual-stack", "--reconcile", "--redirect-dns", MESHPROXY_TEST_DNS_SERVERS="10.0.0.999"
        )
        assert "10.0.0.999" in refusal
        assert [line for line in pod6.everything() if line.startswith("-A")] == [
            line for line in before if line.startswith("-A")
        ]

    def test_a_signal_in_between(self, pod6: Pod, tmp_path: Path) -> None:
        """Stopped when IPv4 has its rules, and IPv6 not yet."""
        some_programs(tmp_path, *SET, "nft", "cat")
        os.mkfifo(tmp_path / "fifo")
        waiting = tmp_path / "ip6tables-nft-restore"
        waiting.unlink()
        waiting.write_text(f"#!/bin/sh\necho here > {tmp_path}/fifo\nexec cat {tmp_path}/fifo\n")
        waiting.chmod(stat.S_IRWXU)
        before = pod6.everything()
        process = pod6.start(*USUAL, "--dual-stack", PATH=str(tmp_path))
        with open(tmp_path / "fifo"):
            assert len(pod6.rules()) == 17
            process.terminate()
        assert process.wait() == 143
        assert pod6.everything() == before

    def test_rules_of_nft_that_iptables_cannot_show(self, pod: Pod) -> None:
        pod.run("nft", "add table ip nat; add chain ip nat PREROUTING { type nat hook prerouting priority -100; }")
        pod.run("nft", "add rule ip nat PREROUTING ip daddr { 1.2.3.4, 1.2.3.5 } tcp dport 80 dnat to 10.0.0.1:8080")
        done = pod.init(*USUAL)
        assert done.returncode == 0
        assert "table nat has rules of nft that iptables-nft cannot show" in done.stderr
        before = pod.everything()
        done = pod.init(*USUAL)
        assert done.returncode == 1
        assert "already exists" in done.stderr and "--cleanup-only removes them" in done.stderr
        assert pod.everything() == before
        assert pod.init("--cleanup-only", *USUAL).returncode == 0
        assert "ISTIO" not in pod.run("nft", "list", "ruleset")
        assert "1.2.3.5" in pod.run("nft", "list", "ruleset")

    def test_no_address(self, pod: Pod) -> None:
        pod.run("ip", "address", "del", "10.9.9.9/32", "dev", "lo")
        assert "no valid local IP address found" in pod.refuse(*USUAL)

    def test_no_such_namespace(self, pod: Pod) -> None:
        assert "/no/such" in pod.refuse(*USUAL, "--network-namespace", "/no/such")


class TestNftables:
    def test_a_life(self, pod6: Pod) -> None:
        flags = (*FULL, "-m", "TPROXY", "--native-nftables")
        pod6.apply(*flags, **DNS)
        applied = pod6.everything()
        rules = [line for line in script(*flags, MESHPROXY_TEST_IPV6="true", **DNS) if " rule " in line]
        assert sum("counter" in line for line in applied) == len(rules)
        pod6.apply(*flags, **DNS)
        assert pod6.everything() == applied
        pod6.run("nft", "add", "table", "inet", "foreign")
        pod6.apply(*USUAL, "--native-nftables", "--reconcile")
        tables = [line.split()[-1] for line in pod6.run("nft", "list", "tables").splitlines()]
        assert tables == ["foreign", "istio-proxy-nat"]
        assert "fwmark" not in pod6.run("ip", "rule")
        pod6.apply("--native-nftables", "--cleanup-only")
        assert pod6.run("nft", "list", "tables") == "table inet foreign\n"

    def test_other_tables_of_the_same_name(self, pod: Pod) -> None:
        pod.run("nft", "add", "table", "inet", "istio-proxy-nat")
        pod.run("nft", "add chain inet istio-proxy-nat output { type filter hook input priority 5; }")
        before = pod.everything()
        assert "there already: --reconcile replaces them" in pod.refuse(*USUAL, "--native-nftables")
        assert pod.everything() == before
        pod.apply(*USUAL, "--native-nftables", "--reconcile")

    def test_failing_leaves_what_was(self, pod: Pod) -> None:
        pod.apply(*USUAL, "--native-nftables")
        before = pod.everything()
        refusal = pod.refuse(*USUAL, "--native-nftables", "--redirect-dns", MESHPROXY_TEST_DNS_SERVERS="10.0.0.999")
        assert "10.0.0.999" in refusal
        assert pod.everything() == before

    def test_failing_routes_bring_back_the_tables(self, pod: Pod) -> None:
        pod.apply(*USUAL, "--native-nftables")
        pod.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6")
        before = pod.everything()
        assert "cannot add" in pod.refuse("-m", "TPROXY", "-b", "80", "--native-nftables", MESHPROXY_TEST_IPV6="true")
        assert pod.everything() == before


class TestValidation:
    ALONE = ("--skip-rule-apply", "--run-validation")

    @pytest.mark.parametrize("flags", [(), ("--native-nftables",), ("-m", "TPROXY")])
    def test_rules_that_work(self, pod: Pod, flags: tuple[str, ...]) -> None:
        pod.apply(*USUAL, *flags, "--run-validation")
        # As the proxy's user and without rights, as in the container that a CNI plugin brings along.
        done = pod.init(*self.ALONE, user=1337)
        assert done.returncode == 0, done.stderr

    def test_over_ipv6(self, pod6: Pod) -> None:
        pod6.run("ip", "address", "del", "10.9.9.9/32", "dev", "lo")
        pod6.apply(*USUAL, "--run-validation")

    @pytest.mark.parametrize("user", [0, 1337])
    def test_without_rules(self, pod: Pod, user: int) -> None:
        done = pod.init(*self.ALONE, "--probe-timeout", "200ms", user=user)
        assert done.returncode == 126
        assert "iptables validation failed" in done.stderr and "within 0.2 s" in done.stderr

    def test_other_ports(self, pod: Pod) -> None:
        pod.apply("-u", "1337", "-b", "*", "-z", "25006")
        done = pod.init(*self.ALONE, "--probe-timeout", "200ms")
        assert done.returncode == 126
        pod.apply(*self.ALONE, "-z", "25006", "--iptables-probe-port", "7")


def test_another_namespace(pod: Pod) -> None:
    other = Pod()
    try:
        other.apply(*USUAL, "--network-namespace", pod.path, "--cni-mode", "--run-validation")
        assert len(pod.rules()) == 17
        assert other.rules() == []
        other.apply("--cleanup-only", "--network-namespace", pod.path, "--force-iptables-binary", "nft")
        other.apply(*USUAL, "--network-namespace", pod.path, "--cni-mode", "--force-iptables-binary", "legacy")
        assert len(pod.rules("iptables-legacy")) == 17
    finally:
        other.close()
    assert os.path.getsize("/etc/nsswitch.conf") > 0
