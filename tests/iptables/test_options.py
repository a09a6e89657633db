"""Which flag, which variable, who wins."""

import pytest

from meshproxy.iptables.options import FLAGS, Config, command_flags, read_options

# Letter, flag, default, variables: the contract that injection templates and CNI plugins are written against.
CONTRACT = """
p envoy-port 15001
z inbound-capture-port 15006 INBOUND_CAPTURE_PORT
e inbound-tunnel-port 15008 INBOUND_TUNNEL_PORT
u proxy-uid "" PROXY_UID
g proxy-gid "" PROXY_GID
m istio-inbound-interception-mode "" ISTIO_INBOUND_INTERCEPTION_MODE
b istio-inbound-ports "" ISTIO_INBOUND_PORTS
d istio-local-exclude-ports "" ISTIO_LOCAL_EXCLUDE_PORTS
c istio-exclude-interfaces "" ISTIO_EXCLUDE_INTERFACES
i istio-service-cidr "" ISTIO_SERVICE_CIDR
x istio-service-exclude-cidr "" ISTIO_SERVICE_EXCLUDE_CIDR
q istio-outbound-ports "" ISTIO_OUTBOUND_PORTS
o istio-local-outbound-ports-exclude "" ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE
k kube-virt-interfaces "" KUBE_VIRT_INTERFACES
t istio-inbound-tproxy-mark 1337 ISTIO_INBOUND_TPROXY_MARK
r istio-inbound-tproxy-route-table 133 ISTIO_INBOUND_TPROXY_ROUTE_TABLE
n dry-run False DRY_RUN
- iptables-probe-port 15002 IPTABLES_PROBE_PORT
- probe-timeout 5.0 PROBE_TIMEOUT
- skip-rule-apply False SKIP_RULE_APPLY
- run-validation False RUN_VALIDATION
- redirect-dns False REDIRECT_DNS ISTIO_META_DNS_CAPTURE
- capture-all-dns False CAPTURE_ALL_DNS
- drop-invalid False DROP_INVALID INVALID_DROP
- dual-stack False DUAL_STACK ISTIO_DUAL_STACK
- network-namespace "" NETWORK_NAMESPACE
- cni-mode False CNI_MODE
- reconcile False RECONCILE
- cleanup-only False CLEANUP_ONLY
- force-apply False FORCE_APPLY
- native-nftables False NATIVE_NFTABLES
- force-iptables-binary "" FORCE_IPTABLES_BINARY
"""
ROWS = [line.split() for line in CONTRACT.strip().splitlines()]


def test_the_flags_are_these() -> None:
    ours = {flag.name: [flag.short or "-", str(flag.default) or '""', *flag.env] for flag in FLAGS}
    assert ours == {name: [short, default, *variables] for short, name, default, *variables in ROWS}


def read(*arguments: str, **environment: str) -> Config:
    def warn(text: str) -> None:
        raise AssertionError(text)

    return read_options(arguments, environment, warn)


@pytest.mark.parametrize(("name", "variable"), [(row[1], variable) for row in ROWS for variable in row[3:]])
def test_the_command_line_wins_over_the_environment(name: str, variable: str) -> None:
    flag = next(flag for flag in FLAGS if flag.name == name)
    first, second = {"string": ("7", "8"), "bool": ("true", "false"), "uint16": ("7", "8"), "duration": ("7s", "8s")}[
        flag.kind
    ]
    assert getattr(read(), flag.attribute) == flag.default
    assert getattr(read(**{variable: first}), flag.attribute) == flag.read(first)
    assert getattr(read(f"--{name}={second}", **{variable: first}), flag.attribute) == flag.read(second)


def test_the_port_of_the_proxy_has_no_variable() -> None:
    assert read(ENVOY_PORT="7").proxy_port == "15001"


def test_the_later_of_two_variables_wins() -> None:
    assert read(REDIRECT_DNS="true", ISTIO_META_DNS_CAPTURE="false").redirect_dns is False


def test_a_bad_variable_is_ignored_and_named() -> None:
    warnings: list[str] = []
    config = read_options([], {"PROBE_TIMEOUT": "5", "DRY_RUN": "maybe", "DROP_INVALID": ""}, warnings.append)
    assert (config.probe_timeout, config.dry_run, config.drop_invalid) == (5.0, False, False)
    assert warnings == [
        'the environment variable DRY_RUN is ignored: "maybe" is neither true nor false',
        'the environment variable PROBE_TIMEOUT is ignored: missing unit in duration "5", as in 5s or 300ms',
    ]


def test_what_only_variables_say() -> None:
    config = read()
    assert (config.owner_groups, config.owner_groups_exclude, config.loopback_cidr) == ("*", "", "127.0.0.1/32")
    config = read(
        ISTIO_OUTBOUND_OWNER_GROUPS="",
        ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE="7",
        ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR="127.0.0.0/8",
    )
    assert (config.owner_groups, config.owner_groups_exclude, config.loopback_cidr) == ("", "7", "127.0.0.0/8")


def test_every_attribute_is_declared() -> None:
    assert {flag.attribute for flag in FLAGS} <= set(Config.__annotations__)


def test_the_usage_has_a_line_for_every_flag() -> None:
    lines = command_flags().usage().splitlines()
    (port,) = [line for line in lines if line.startswith("  -p, --envoy-port string ")]
    assert port.endswith('(default "15001")')
    for row in ROWS:
        assert sum(f"--{row[1]} " in f"{line} " for line in lines) == 1
    assert max(map(len, lines)) < 200
