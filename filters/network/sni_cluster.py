"""The TCP proxy's cluster is the server name of the TLS hello (envoy.extensions.filters.network.sni_cluster)."""

from typing import Any

from meshproxy.api import TCP_CLUSTER, Connection, NetworkFilter, Verdict


class SniCluster(NetworkFilter):
    @classmethod
    def build(cls, config: Any, ctx: Any) -> "SniCluster":
        return cls()

    def on_connection(self, connection: Connection) -> Verdict:
        if connection.server_name:
            connection.set_state(TCP_CLUSTER, connection.server_name)
        return None
