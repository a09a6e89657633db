"""Runtime values in a running proxy: links that are swapped, workers, and Envoy's own reading of the same values."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parity.proxies import Proxy, find_envoy

from .running import ask, config, running, wait_for

FLAG = "match: {prefix: /, runtime_fraction: {default_value: {numerator: 0}, runtime_key: share}}"
BOTH = pytest.mark.parametrize("workers", ["1", "2"])


def with_layers(layers: str) -> str:
    text = config(more=f"layered_runtime: {{layers: [{layers}]}}")
    return text.replace("match: {prefix: /}", FLAG, 1)


def put(link: Path, folder: Path, **values: str) -> None:
    """New values as an operator deploys them: a fresh directory, and the link renamed onto the old one."""
    folder.mkdir()
    for name, text in values.items():
        (folder / name).write_text(text)
    fresh = link.with_name("..data_tmp")
    os.symlink(folder.name, fresh)
    os.rename(fresh, link)


@BOTH
def test_a_swapped_link_reaches_every_worker(tmp_path: Path, workers: str) -> None:
    # As Kubernetes mounts a ConfigMap: the files, and a link to the folder of this version.
    mount = tmp_path / "mount"
    mount.mkdir()
    put(mount / "..data", mount / "..2026_1", share="0")
    layers = f"{{name: disk, disk_layer: {{symlink_root: {mount}/..data}}}}"
    with running(tmp_path / "p", with_layers(layers), "--concurrency", workers) as proxy:
        assert proxy.get()[0] == 404
        put(mount / "..data", mount / "..2026_2", share="100")
        wait_for(lambda: [proxy.get()[0] for _ in range(10)] == [200] * 10)
        assert proxy.stat("runtime.load_success") == 3
        put(mount / "..data", mount / "..2026_3", share="{")
        wait_for(lambda: proxy.stat("runtime.load_error") == 1)
        wait_for(lambda: [proxy.get()[0] for _ in range(10)] == [404] * 10)
        assert proxy.stat("runtime.num_layers") == 0
        assert json.loads(proxy.admin("/runtime")[1]) == {"layers": [], "entries": {}}


@BOTH
def test_what_an_operator_sets_reaches_every_worker(tmp_path: Path, workers: str) -> None:
    layers = "{name: base, static_layer: {share: 0}}, {name: admin, admin_layer: {}}"
    with running(tmp_path, with_layers(layers), "--concurrency", workers) as proxy:
        assert proxy.admin("/runtime_modify?share=100", "POST") == (200, "OK\n")
        wait_for(lambda: [proxy.get()[0] for _ in range(10)] == [200] * 10)
        assert proxy.admin("/runtime_modify?share=%7B", "POST")[0] == 503
        assert proxy.stat("runtime.admin_overrides_active") == 1
        assert proxy.admin("/runtime_modify?share=", "POST") == (200, "OK\n")
        wait_for(lambda: [proxy.get()[0] for _ in range(10)] == [404] * 10)
        assert (proxy.stat("runtime.num_keys"), proxy.stat("runtime.admin_overrides_active")) == (1, 0)


# ---- Envoy's reading ----

FIXED: dict[str, Any] = {
    "n0": 0, "n100": 100, "n100_5": 100.5, "negative": -1, "yes": True, "no": False, "s100": "100", "foo": "foo",
    "strue": "true", "frac": {"numerator": 100}, "frac2": {"numerator": 10000, "denominator": "TEN_THOUSAND"},
    "fracs": {"numerator": "100"}, "nested": {"a": 100, "b": {"c": 100}}, "dotted.key": 100, "big": 1e20,
    "million": 1000000, "s1e2": "1e2", "shex": "0x64", "splus": "+100", "sspace": " 100 ", "sfalse": "false",
    "s1": "1", "s0": "0", "half": 0.5, "two": 2,
}  # fmt: skip
FILES: dict[str, str] = {
    "f100": "100", "line": "100\n", "comment": "# hi\n100\n", "comment2": "100\n# hi\n", "empty": "", "sub/x": "100",
    "fraction": "numerator: 100\ndenominator: HUNDRED", "json": '{"numerator": 100}', "ftrue": "true", "fyes": "yes",
    "text": "foo bar", "quoted": '"100"', "list": "[1,2]", "map": "a: 100", "f1e2": "1e2", "lines": "a\nb",
    ".hidden": "100", "unicode": "\u00e9", "fnegative": "-5", "fhex": "0x64", "null": "null", "spaces": "  100  \n\n",
    "ftab": "\t100", "percent": "%foo", "underscore": "1_00", "documents": "a\n---\nb", "clock": "12:30",
    "crlf": "100\r\n", "only": "#x\n", "ffalse": "false", "off": "off", "f0": "0", "qtrue": '"true"', "dot": ".inf",
}  # fmt: skip
BROKEN = {"b1": "{", "b2": "a: b: c", "b3": '"unterminated', "b4": "@foo", "b5": "*foo"}
# Of these fractions nobody knows how they end.
BY_CHANCE = ("s1", "two")
SET = {"a100": "100", "afrac": '{"numerator": 100}', "ayes": "yes", "aquoted": '"100"', "abad": "{", "n100": ""}


def judged(folder: Path) -> str:
    """A configuration that answers /<key>/ with 200 where the key's fraction is everything."""
    layers: list[Any] = [{"name": "fixed", "static_layer": FIXED}]
    for name, files in {"files": FILES, **{name: {name: text} for name, text in BROKEN.items()}}.items():
        for file, text in files.items():
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        layers.append({"name": name, "disk_layer": {"symlink_root": str(folder / name)}})
    layers += [{"name": "gone", "disk_layer": {"symlink_root": str(folder / "gone")}}]
    layers += [{"name": "admin", "admin_layer": {}}]
    routes = [
        {
            "match": {
                "prefix": f"/{key}/",
                "runtime_fraction": {"default_value": {"numerator": 0}, "runtime_key": key},
            },
            "direct_response": {"status": 200},
        }
        for key in all_keys()
    ]
    listeners = [_limited(key, default) for key in all_keys() for default in (True, False)]
    tree: dict[str, Any] = yaml.safe_load(config())
    tree["layered_runtime"] = {"layers": layers}
    manager = tree["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"]["virtual_hosts"][0]["routes"] = routes
    tree["static_resources"]["listeners"] += listeners
    return json.dumps(tree)


def all_keys() -> list[str]:
    files = [name.replace("/", ".") for name in FILES]
    return [*FIXED, "nested.a", "nested.b.c", *files, *BROKEN, *SET, "map.a"]


def _limited(key: str, default: bool) -> dict[str, Any]:
    """A listener that takes one connection where the truth value of `key` is true."""
    limit = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "x", "token_bucket": {"max_tokens": 1, "fill_interval": "3600s"},
        "runtime_enabled": {"default_value": default, "runtime_key": key},
    }  # fmt: skip
    echo = {"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}
    filters = [{"name": "limit", "typed_config": limit}, {"name": "echo", "typed_config": echo}]
    return {
        "name": f"{key} {default}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": filters}],
    }  # fmt: skip


async def _second_lives(port: int) -> bool:
    """Whether the second of two connections answers."""
    lives = False
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"x")
            lives = await reader.read(1) == b"x"
        except ConnectionError:
            lives = False
        writer.close()
    return lives


async def _observe(kind: str, tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / kind
    folder.mkdir()
    proxy = Proxy(kind, folder)
    await proxy.start(judged(tmp_path / f"{kind}.values"))
    assert proxy.admin is not None
    admin = proxy.admin[1]

    def page(path: str, method: str = "GET") -> str:
        return ask(admin, path, method)[1]

    try:
        found: dict[str, Any] = {"stats": await asyncio.to_thread(page, "/stats?filter=^runtime")}
        for key, text in SET.items():
            answer = await asyncio.to_thread(ask, admin, f"/runtime_modify?{key}={text.replace(' ', '%20')}", "POST")
            found[f"set {key}"] = answer[0]
        shown = json.loads(await asyncio.to_thread(page, "/runtime"))
        found["layers"] = shown["layers"]
        for key, entry in shown["entries"].items():
            # Envoy writes a fraction of a static layer differently in every build.
            found[f"entry {key}"] = "fraction" if "numerator" in entry["final_value"] else entry
        ports = {
            each["name"]: each["local_address"]["socket_address"]["port_value"]
            for each in json.loads(await asyncio.to_thread(page, "/listeners?format=json"))["listener_statuses"]
        }
        for key in all_keys():
            if key not in BY_CHANCE:
                found[f"fraction {key}"] = (await asyncio.to_thread(ask, ports["in"], f"/{key}/"))[0]
            found[f"truth {key}"] = [await _second_lives(ports[f"{key} {default}"]) for default in (True, False)]
    finally:
        await proxy.stop()
    return found


@pytest.mark.skipif(find_envoy() is None, reason="no Envoy here to ask")
def test_envoy_takes_the_same_values_for_the_same(tmp_path: Path) -> None:
    async def both() -> list[dict[str, Any]]:
        return await asyncio.gather(_observe("envoy", tmp_path), _observe("meshproxy", tmp_path))

    envoy, ours = asyncio.run(both())
    different = {
        key: (envoy.get(key), ours.get(key)) for key in envoy.keys() | ours.keys() if envoy.get(key) != ours.get(key)
    }
    assert different == {}
