"""envoy.config.core.v3.Address where something listens, and ranges of addresses (CidrRange)."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from meshproxy.config.build_addresses import socket_options
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.net.sockets import ListenAddress


def build_listen_addresses(view: View) -> list[ListenAddress]:
    """The address and the additional ones. `view`: the Listener."""
    with view.at("address"):
        addresses = [build_listen_address(view.address)]
    for i, more in enumerate(view.additional_addresses):
        with view.at("additional_addresses", i), more.at("address"):
            address = build_listen_address(more.address)
        if more.socket_options:
            address.options = socket_options(more.socket_options.socket_options)
        addresses.append(address)
    return addresses


def build_listen_address(view: View) -> ListenAddress:
    """Where to listen. `view`: an Address."""
    match view.which("address"):
        case "socket_address":
            return _ip_address(view.socket_address)
        case "pipe":
            return _unix_address(view.pipe)
        case "envoy_internal_address":
            view.reject("envoy_internal_address", "use internal_listener instead of address for internal listeners")
    raise ConfigError("address is necessary")


def _ip_address(view: View) -> ListenAddress:
    if view.enum("protocol") != "TCP":
        view.reject("protocol", "UDP listeners are not supported")
    if view.resolver_name:
        view.reject("resolver_name", "custom resolvers are not supported for listeners")
    if view.network_namespace_filepath:
        view.reject("network_namespace_filepath", "network namespaces are not supported")
    if view.which("port_specifier") == "named_port":
        view.reject("named_port", "a listener needs port_value: a named port is not resolved")
    host = view.address
    try:
        ip = ip_address(host)
    except ValueError:
        view.reject("address", f"malformed IP address: {host}")
    where = ListenAddress((str(ip), view.port_value), ipv4_compat=view.ipv4_compat)
    if where.ipv4_compat and not (ip.version == 6 and (ip.is_unspecified or ip.ipv4_mapped)):
        reason = "Only IPv6 address '::' or valid IPv4-mapped IPv6 address can set ipv4_compat"
        view.reject("ipv4_compat", f"{reason}: {where}")
    return where


def _unix_address(view: View) -> ListenAddress:
    path, mode = view.path, view.mode
    if mode and path.startswith("@"):
        view.reject("mode", "Cannot set mode for Abstract AF_UNIX sockets")
    if len(path.encode()) > 107:
        view.reject("path", f'Path "{path}" exceeds maximum UNIX domain socket path size of 108.')
    return ListenAddress((path, 0), mode=mode, unix=True)


def build_networks(views: list[View]) -> tuple[IPv4Network | IPv6Network, ...]:
    """CidrRanges in order; bits after the prefix count as zero."""
    return tuple(_network(view) for view in views)


def _network(view: View) -> IPv4Network | IPv6Network:
    text = view.address_prefix
    try:
        ip: Any = ip_address(text)
    except ValueError:
        view.reject("address_prefix", f"malformed IP address: {text}")
    length = min(view.get("prefix_len", 0), ip.max_prefixlen)
    return ip_network((ip, length), strict=False)
