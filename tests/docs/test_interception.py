"""docs/interception.md: what it configures is what both proxies take."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshproxy.agent import ca
from tests.parity.proxies import command, find_envoy

TEXT = (Path(__file__).parents[2] / "docs" / "interception.md").read_text()
BLOCKS = [yaml.safe_load(block.partition("```")[0]) for block in TEXT.split("```yaml\n")[1:]]


def block(key: str) -> Any:
    """The one that has this key, or is a list of what has it."""
    (found,) = (each for each in BLOCKS if key in (each[-1] if isinstance(each, list) else each))
    return found


@pytest.mark.parametrize("proxy", ["envoy", "meshproxy"])
def test_mutual_tls_is_taken_as_it_stands(proxy: str, tmp_path: Path) -> None:
    if proxy == "envoy" and find_envoy() is None:
        pytest.skip("no Envoy")
    ca.init(tmp_path / "certs", "cluster.local", 1)
    ca.issue(tmp_path / "certs", "default/reviews", 1)
    chain = block("filter_chain_match")
    tcp = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
    chain["filters"] = [{"name": "tcp", "typed_config": {"@type": tcp, "stat_prefix": "x", "cluster": "x"}}]
    inspector = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "listener_filters": [{"name": "tls", "typed_config": {"@type": inspector}}],
        "filter_chains": [chain],
    }
    cluster = block("transport_socket_matches")
    chain["filters"][0]["typed_config"]["cluster"] = cluster["name"]
    resources = {"listeners": [listener], "clusters": [cluster], "secrets": block("validation_context")}
    config = tmp_path / "envoy.yaml"
    config.write_text(yaml.safe_dump({"static_resources": resources}))
    done = subprocess.run(
        [*command(proxy), "--mode", "validate", "-c", config],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK" in done.stdout + done.stderr and "set, but nothing here reads it" not in done.stderr
