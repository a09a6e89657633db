"""examples/compose/sidecar.yml and examples/kubernetes/sidecar.yml, run as their engines would: with the commands,
users, capabilities and configurations that stand in them, in network namespaces."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kit.netns import APP, Namespace, Switch, folder, missing
from tests.parity.proxies import REPOSITORY

from .running import EXAMPLES

COMPOSE, KUBERNETES = EXAMPLES / "compose" / "sidecar.yml", EXAMPLES / "kubernetes" / "sidecar.yml"
SERVICES = ("reviews", "ratings")
ADDRESSES = {"reviews": "10.244.0.2", "ratings": "10.244.0.3"}
ANSWER_S = 20.0


@dataclass
class Container:
    """What an engine would start. files: where they are for the container -> where they are here."""

    words: list[str]
    user: int
    group: int
    caps: list[str]
    files: dict[str, Path]
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, words: list[str] | None = None) -> list[str]:
        programs = {"python": [sys.executable], "meshproxy": [sys.executable, "-m", "meshproxy"]}
        first, *rest = words or self.words
        for inside, here in self.files.items():
            rest = [word.replace(inside, str(here)) if word.startswith(inside) else word for word in rest]
        return ["env", *[f"{key}={value}" for key, value in self.environment.items()], *programs[first], *rest]


@dataclass
class Pod:
    """One service; `ready` is the command by which the engine learns that its proxy serves."""

    app: Container
    init: Container
    proxy: Container
    ready: list[str]


def from_compose(_place: Path) -> dict[str, Pod]:
    services = yaml.safe_load(COMPOSE.read_text())["services"]

    def container(service: dict[str, Any]) -> Container:
        user, group = map(int, service["user"].split(":"))
        volumes = [volume.split(":") for volume in service.get("volumes", [])]
        words = service.get("entrypoint", ["meshproxy"]) + service.get("command", [])
        caps = [cap.lower() for cap in service.get("cap_add", [])]
        files = {inside: COMPOSE.parent / here for here, inside, _ in volumes}
        return Container(words, user, group, caps, files, service.get("environment", {}))

    pods = {}
    for name in SERVICES:
        init, proxy = services[f"{name}-init"], services[f"{name}-proxy"]
        assert init["network_mode"] == proxy["network_mode"] == f"service:{name}"
        assert init["cap_drop"] == proxy["cap_drop"] == ["ALL"] and proxy["read_only"]
        assert proxy["depends_on"] == {f"{name}-init": {"condition": "service_completed_successfully"}}
        test = proxy["healthcheck"]["test"]
        assert test[0] == "CMD"
        pods[name] = Pod(container(services[name]), container(init), container(proxy), test[1:])
    return pods


def from_kubernetes(place: Path) -> dict[str, Pod]:
    documents = list(yaml.safe_load_all(KUBERNETES.read_text()))
    by_kind = {(one["kind"], one["metadata"]["name"]): one for one in documents}
    data = by_kind["ConfigMap", "meshproxy"]["data"]
    for name, text in data.items():
        (place / name).write_text(text)

    def container(spec: dict[str, Any]) -> Container:
        security = spec["securityContext"]
        assert security["capabilities"]["drop"] == ["ALL"] and not security["allowPrivilegeEscalation"]
        mounts = {mount["mountPath"]: place for mount in spec.get("volumeMounts", [])}
        words = spec.get("command", ["meshproxy"]) + spec.get("args", [])
        caps = [cap.lower() for cap in security["capabilities"].get("add", [])]
        return Container(words, security["runAsUser"], security["runAsGroup"], caps, mounts)

    pods = {}
    for name in SERVICES:
        spec = by_kind["Deployment", name]["spec"]["template"]["spec"]
        (init,) = spec["initContainers"]
        proxy, app = spec["containers"]
        security = proxy["securityContext"]
        assert security["runAsNonRoot"] and security["readOnlyRootFilesystem"]
        (port,) = by_kind["Service", name]["spec"]["ports"]
        assert [port["port"]] == [one["containerPort"] for one in app["ports"]]
        probes = [proxy[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe")]
        assert probes == [{"path": "/healthz/ready", "port": 15021}] * 2
        # In place of the image, which is in a registry, what compose runs.
        stand_in = from_compose(place)[name].app
        hook = proxy["lifecycle"]["postStart"]["exec"]["command"]
        pods[name] = Pod(stand_in, container(init), container(proxy), hook)
    return pods


class Running:
    """Both pods, and a third place to call them from."""

    def __init__(self, stack: ExitStack, pods: dict[str, Pod], place: Path) -> None:
        self.place = place
        switch = stack.enter_context(Switch())
        self.outside = switch.pod("outside", "10.244.0.4/16")
        self.spaces = {name: switch.pod(name, f"{ADDRESSES[name]}/16") for name in SERVICES}
        # No name server is asked: the one of this machine cannot be reached from here.
        hosts, resolver = place / "hosts", place / "resolv.conf"
        resolver.write_text("nameserver 127.0.0.1\n")
        known = {**ADDRESSES, "localhost": "127.0.0.1"}
        hosts.write_text("".join(f"{address} {name}\n" for name, address in known.items()))
        for name, space in self.spaces.items():
            for file in (hosts, resolver):
                mounted = space.run(0, "mount", "--bind", file, f"/etc/{file.name}")
                assert mounted.returncode == 0, mounted.stderr
            self._start(name, "app", pods[name].app)
        for name, space in self.spaces.items():
            init = pods[name].init
            done = space.run(init.user, *init.command(), group=init.group, caps=init.caps)
            assert done.returncode == 0, done.stdout + done.stderr
            self._start(name, "proxy", pods[name].proxy)
        for name in SERVICES:
            proxy = pods[name].proxy
            self._until_done(name, proxy.user, proxy.command(pods[name].ready))
            self._until_done(name, APP, ["curl", "-s", "-o", "/dev/null", "http://127.0.0.1:9080/"])

    def _until_done(self, name: str, user: int, words: list[str]) -> None:
        until = time.monotonic() + ANSWER_S
        while (done := self.spaces[name].run(user, *words)).returncode:
            assert time.monotonic() < until, (done, self.said(name))

    def _start(self, name: str, part: str, container: Container) -> None:
        with (self.place / f"{name}.{part}").open("wb") as out:
            self.spaces[name].start(
                container.user, *container.command(), out=out, group=container.group, caps=container.caps
            )

    def said(self, name: str) -> str:
        return (self.place / f"{name}.proxy").read_text()

    def logged(self, name: str, text: str) -> bool:
        until = time.monotonic() + ANSWER_S
        while text not in self.said(name):
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True


@pytest.fixture(params=[from_compose, from_kubernetes], ids=["compose", "kubernetes"])
def world(request: pytest.FixtureRequest) -> Iterator[Running]:
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        yield Running(stack, request.param(place), place)


def get(space: Namespace, url: str) -> str:
    done = space.run(APP, "curl", "-sS", "--max-time", "10", url)
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_what_stands_there_is_a_mesh(world: Running) -> None:
    for name in SERVICES:
        assert get(world.outside, f"http://{ADDRESSES[name]}:15021/healthz/ready") == "LIVE\n"
    seen = json.loads(get(world.outside, f"http://{ADDRESSES['reviews']}:9080/reviews/1"))
    assert [review["rating"]["stars"] for review in seen["reviews"]] == [5, 4], (seen, world.said("reviews"))
    for name, line in (
        ("reviews", "10.244.0.4 GET 10.244.0.2:9080/reviews/1 200 - inbound|9080||"),
        ("reviews", "10.244.0.2 GET ratings/ratings/1 200 - outbound|9080||ratings"),
        ("ratings", "10.244.0.2 GET ratings/ratings/1 200 - inbound|9080||"),
    ):
        assert world.logged(name, line), world.said(name)


def test_both_have_one_configuration() -> None:
    (config,) = [one for one in yaml.safe_load_all(KUBERNETES.read_text()) if one["kind"] == "ConfigMap"]
    assert config["data"]["pod.yaml"] == (COMPOSE.parent / "pod.yaml").read_text()


def test_the_image_can_be_both() -> None:
    text = (REPOSITORY / "Dockerfile").read_text()
    assert all(f" {package}" in text for package in ("iptables", "nftables"))
    assert "USER 1337:1337" in text
