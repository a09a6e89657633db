"""The flags of istio-iptables, the environment variables behind them, and the configuration that they make.

The command line wins over the environment, the environment over the default. Every flag but ``envoy-port`` has a
variable of its own: its name in capitals, with ``_`` for ``-``.
"""

from collections.abc import Callable, Mapping, Sequence

from meshproxy.iptables.flags import Flag, Flags


class Config:
    """What to capture. Lists are as the user wrote them, comma separated; ``*`` means everything.

    The lower half is no flag: two variables, and what ``host.look_around`` finds on the machine.
    """

    proxy_port: str
    inbound_capture_port: str
    inbound_tunnel_port: str
    proxy_uid: str
    proxy_gid: str
    interception_mode: str
    tproxy_mark: str
    tproxy_route_table: str
    inbound_ports: str
    inbound_ports_exclude: str
    outbound_ports: str
    outbound_ports_exclude: str
    outbound_ranges: str
    outbound_ranges_exclude: str
    kube_virt_interfaces: str
    exclude_interfaces: str
    probe_port: int
    probe_timeout: float
    dry_run: bool
    skip_rule_apply: bool
    run_validation: bool
    redirect_dns: bool
    capture_all_dns: bool
    drop_invalid: bool
    dual_stack: bool
    network_namespace: str
    cni_mode: bool
    reconcile: bool
    cleanup_only: bool
    force_apply: bool
    native_nftables: bool
    force_binary: str

    log_levels: str
    log_as_json: bool
    log_targets: list[str]

    owner_groups: str = "*"
    owner_groups_exclude: str = ""
    loopback_cidr: str = "127.0.0.1/32"

    ipv6: bool = False
    "Rules for IPv6 are wanted beside those for IPv4."
    host_is_v6: bool = False
    "The pod's first address is of IPv6: validation tries that family."
    dns_v4: Sequence[str] = ()
    dns_v6: Sequence[str] = ()

    @property
    def tproxy(self) -> bool:
        return self.interception_mode == "TPROXY"

    @property
    def captures_dns(self) -> bool:
        """Wanted, and there is a server whose questions could be captured."""
        return self.redirect_dns and bool(self.capture_all_dns or self.dns_v4 or self.dns_v6)


def _flag(name: str, attribute: str, usage: str, short: str = "", default: str = "") -> Flag:
    return Flag(name, attribute, usage, short=short, default=default, env=(_variable(name),))


def _switch(name: str, attribute: str, usage: str, short: str = "", also: str = "") -> Flag:
    env = (_variable(name), also) if also else (_variable(name),)
    return Flag(name, attribute, usage, short=short, kind="bool", default=False, env=env)


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


# fmt: off
FLAGS = (
    Flag("envoy-port", "proxy_port", "Where outbound connections are sent", short="p", default="15001"),
    _flag("inbound-capture-port", "inbound_capture_port", "Where inbound connections are sent", "z", "15006"),
    _flag("inbound-tunnel-port", "inbound_tunnel_port", "The port of tunnels (HBONE), never captured", "e", "15008"),
    _flag("proxy-uid", "proxy_uid",
          "Users, comma separated, whose connections are not captured; the proxy's user: that "
          "named $ENVOY_USER or istio-proxy if there is one, else 1337", "u"),
    _flag("proxy-gid", "proxy_gid", "Groups, comma separated, whose connections are not captured; as -u", "g"),
    _flag("istio-inbound-interception-mode", "interception_mode",
          "How to capture inbound connections: REDIRECT or TPROXY", "m"),
    _flag("istio-inbound-ports", "inbound_ports", "Inbound ports to capture, comma separated, or '*' for all", "b"),
    _flag("istio-local-exclude-ports", "inbound_ports_exclude", "Inbound ports not to capture, with -b '*'", "d"),
    _flag("istio-exclude-interfaces", "exclude_interfaces", "Interfaces left alone, inbound and outbound", "c"),
    _flag("istio-service-cidr", "outbound_ranges",
          "Address ranges to capture outbound, IPv4 and IPv6 mixed, or '*' for all", "i"),
    _flag("istio-service-exclude-cidr", "outbound_ranges_exclude", "Address ranges not to capture outbound", "x"),
    _flag("istio-outbound-ports", "outbound_ports", "Outbound ports to capture whatever the address", "q"),
    _flag("istio-local-outbound-ports-exclude", "outbound_ports_exclude", "Outbound ports not to capture", "o"),
    _flag("kube-virt-interfaces", "kube_virt_interfaces",
          "Virtual machines' interfaces: what comes in there is outbound", "k"),
    _flag("istio-inbound-tproxy-mark", "tproxy_mark", "With TPROXY: the mark of captured packets", "t", "1337"),
    _flag("istio-inbound-tproxy-route-table", "tproxy_route_table",
          "With TPROXY: the routing table of marked packets", "r", "133"),
    _switch("dry-run", "dry_run", "Print what would be applied, and apply nothing", "n"),
    Flag("iptables-probe-port", "probe_port", "The port that validation connects to", kind="uint16", default=15002,
         env=("IPTABLES_PROBE_PORT",)),
    Flag("probe-timeout", "probe_timeout", "How long validation tries",
         kind="duration", default=5.0, env=("PROBE_TIMEOUT",)),
    _switch("skip-rule-apply", "skip_rule_apply", "Apply no rules: validation alone"),
    _switch("run-validation", "run_validation", "Check that captured connections arrive; exit status 126 if not"),
    _switch("redirect-dns", "redirect_dns", "Send questions to the servers of /etc/resolv.conf to port 15053",
            also="ISTIO_META_DNS_CAPTURE"),
    _switch("drop-invalid", "drop_invalid", "Drop packets of no connection, instead of resetting", also="INVALID_DROP"),
    _switch("dual-stack", "dual_stack", "Rules for IPv6 too if the first address is of IPv4", also="ISTIO_DUAL_STACK"),
    _switch("capture-all-dns", "capture_all_dns", "With --redirect-dns: everything to port 53"),
    _flag("network-namespace", "network_namespace", "The network namespace to work in, as in /run/netns/pod"),
    _switch("cni-mode", "cni_mode", "Run by a CNI plugin: locks of the pod's own, no look-ups of names"),
    _switch("reconcile", "reconcile", "Replace other rules of ours that are there, instead of failing"),
    _switch("cleanup-only", "cleanup_only", "Remove the rules, and apply none"),
    _switch("force-apply", "force_apply", "Apply even if the rules seem to be there"),
    _switch("native-nftables", "native_nftables", "Rules of nftables, without any iptables program"),
    _flag("force-iptables-binary", "force_binary", "The iptables to use, legacy or nft, instead of finding out"),
)
LOG_FLAGS = (
    Flag("log_output_level", "log_levels", "What is logged: debug, info, warn, error, fatal or none"),
    Flag("log_as_json", "log_as_json", "One JSON object per line", kind="bool", default=False),
    Flag("log_target", "log_targets", "Where the log goes: stdout, stderr or files",
         kind="stringArray", default=["stderr"]),
    *(Flag(name, "log_ignored", "Accepted, without effect") for name in (
        "log_caller", "log_stacktrace_level", "log_rotate", "log_rotate_max_age", "log_rotate_max_backups",
        "log_rotate_max_size", "vklog")),
)
# fmt: on


def command_flags() -> Flags:
    return Flags((*FLAGS, *LOG_FLAGS))


def read_options(arguments: Sequence[str], environment: Mapping[str, str], warn: Callable[[str], None]) -> Config:
    """Environment, then arguments. ``warn`` hears of variables that are not what they should be: those are ignored."""
    flags = command_flags()
    for flag in FLAGS:
        for name in flag.env:
            if name in environment:
                try:
                    flags.set(flag, environment[name])
                except ValueError as reason:
                    # An empty variable is how manifests say that something is off.
                    if environment[name]:
                        warn(f"the environment variable {name} is ignored: {reason}")
    flags.parse(arguments)
    config = Config()
    for attribute, value in flags.values.items():
        setattr(config, attribute, value)
    config.owner_groups = environment.get("ISTIO_OUTBOUND_OWNER_GROUPS", Config.owner_groups)
    config.owner_groups_exclude = environment.get("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", Config.owner_groups_exclude)
    config.loopback_cidr = environment.get("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", Config.loopback_cidr)
    return config
