"""What every builder is given."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from meshproxy.config.secret_store import SecretStore
from meshproxy.downstream.drain import ServerHealth
from meshproxy.downstream.listener import ConnectionCount
from meshproxy.downstream.listeners import Listeners
from meshproxy.downstream.overload import Overload
from meshproxy.net.count import Counts
from meshproxy.net.dial import SocketOptions
from meshproxy.net.runtime import Runtime
from meshproxy.net.runtime_layers import RuntimeLayers
from meshproxy.net.splice import Pipes
from meshproxy.net.tls_files import TlsFiles
from meshproxy.observe.failures import Failures
from meshproxy.observe.log_file import LogFiles
from meshproxy.observe.peers import Peers
from meshproxy.observe.stats import Registry
from meshproxy.observe.stats_config import StatsConfig
from meshproxy.upstream.cluster import Clusters
from meshproxy.upstream.dns_names import DnsStats, Lookup
from meshproxy.upstream.host_states import HostStates
from meshproxy.upstream.local_cluster import LocalCluster
from meshproxy.upstream.log_stream import LogBatch


@dataclass
class Node:
    """envoy.config.core.v3.Node after the command line was merged over it."""

    id: str = ""
    cluster: str = ""
    region: str = ""
    zone: str = ""
    sub_zone: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class Context:
    """The objects of the process that builders connect their results to."""

    loop: asyncio.AbstractEventLoop
    stats: Registry = field(default_factory=Registry)
    clusters: Clusters = field(default_factory=Clusters)
    # The cluster that this proxy is a member of, if the configuration says so.
    local_cluster: LocalCluster | None = None
    # Which endpoints are well, for all processes.
    host_states: HostStates = field(default_factory=HostStates)
    # Where ejections are logged (ClusterManager.outlier_detection.event_log_path).
    outlier_log: Callable[[str], None] | None = None
    # How names are looked up unless a cluster says it; None for the system's resolver.
    lookup: Lookup | None = None
    # Of all look-ups; None until there is a cluster that looks names up.
    dns_stats: DnsStats | None = None
    runtime_layers: RuntimeLayers = field(default_factory=lambda: RuntimeLayers(Runtime()))
    node: Node = field(default_factory=Node)
    # Of limits that hold for the whole proxy: it has to be shared between workers, where there are any.
    counts: Counts = field(default_factory=Counts)
    connections: ConnectionCount = field(default_factory=ConnectionCount)
    # What is done against overload; one that does nothing for listeners that bypass the manager.
    overload: Overload = field(default_factory=Overload)
    server_health: ServerHealth = field(default_factory=ServerHealth)
    listeners: Listeners = field(default_factory=Listeners)
    # By size, shared by all TCP proxies.
    pipes: dict[int, Pipes] = field(default_factory=dict)
    stats_config: StatsConfig = field(default_factory=StatsConfig)
    log_files: LogFiles = field(default_factory=LogFiles)
    # Of access loggers that send over gRPC, by their configuration.
    log_streams: dict[tuple[str, bytes], LogBatch] = field(default_factory=dict)
    # Where connections to upstreams come from, if their cluster does not say it (ClusterManager.upstream_bind_config).
    upstream_bind: SocketOptions = field(default_factory=SocketOptions)
    failures: Failures = field(default_factory=Failures)
    # By name; and all TLS contexts, which change with their files.
    secrets: SecretStore = field(default_factory=SecretStore)
    tls_files: TlsFiles = field(default_factory=TlsFiles)
    peers: Peers = field(default_factory=Peers)
    # Envoy's --drain-time-s and others that builders look at, by option name.
    options: dict[str, Any] = field(default_factory=dict)
    # For what is below a listener: what its stats begin with (`listener.0.0.0.0_80`).
    listener_prefix: str = ""
    # For HTTP filters: what their stats begin with (`http.ingress.`).
    stat_prefix: str = ""

    @property
    def runtime(self) -> Runtime:
        """What the layers come to."""
        return self.runtime_layers.runtime
