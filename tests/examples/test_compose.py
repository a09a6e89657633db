"""The containers of examples/compose fit the gateway's configuration."""

from pathlib import Path
from typing import Any

import yaml

from tests.parity.proxies import REPOSITORY

from .running import EXAMPLES

COMPOSE = EXAMPLES / "compose"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def services() -> dict[str, Any]:
    found: dict[str, Any] = load(COMPOSE / "docker-compose.yml")["services"]
    return found


def address(cluster: dict[str, Any]) -> tuple[str, int]:
    endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    socket = endpoint["address"]["socket_address"]
    return socket["address"], socket["port_value"]


def option(service: dict[str, Any], name: str) -> str:
    words: list[str] = service["entrypoint"]
    return words[words.index(name) + 1]


def test_every_cluster_is_a_service_that_listens_there() -> None:
    found = services()
    for cluster in load(COMPOSE / "gateway.yaml")["static_resources"]["clusters"]:
        host, port = address(cluster)
        assert cluster["type"] == "STRICT_DNS" and host == cluster["name"]
        assert option(found[host], "--bind") == "0.0.0.0" and int(option(found[host], "--port")) == port


def test_services_call_each_other_through_the_gateway() -> None:
    config = load(COMPOSE / "gateway.yaml")["static_resources"]
    mesh = next(one["address"]["socket_address"] for one in config["listeners"] if one["name"] == "mesh")
    calling = [one for one in services().values() if "--mesh" in one.get("entrypoint", [])]
    assert len(calling) == 4
    assert {option(one, "--mesh") for one in calling} == {f"gateway:{mesh['port_value']}"}


def test_files_and_published_ports_exist() -> None:
    found = services()
    for name, service in found.items():
        for volume in service["volumes"]:
            source, target, mode = volume.split(":")
            assert (COMPOSE / source).exists() and mode == "ro", name
            script = next((word for word in service.get("entrypoint", []) if word.startswith(f"{target}/")), None)
            assert script is None or (COMPOSE / source / script.removeprefix(f"{target}/")).is_file(), name
    gateway = found["gateway"]
    assert set(gateway["depends_on"]) == set(found) - {"gateway"}
    assert (COMPOSE / gateway["build"] / "Dockerfile").samefile(REPOSITORY / "Dockerfile")
    ports = {int(published.rpartition(":")[2]) for published in gateway["ports"]}
    config = load(COMPOSE / "gateway.yaml")
    edge = next(one for one in config["static_resources"]["listeners"] if one["name"] == "edge")
    bound = [config["admin"]["address"], edge["address"]]
    assert ports == {one["socket_address"]["port_value"] for one in bound}
    assert all(published.startswith("127.0.0.1:") for published in gateway["ports"])
