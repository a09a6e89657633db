"""The descriptors that we ship, and those of the Envoy that is here."""

from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from meshproxy.config.api import API, api_pool
from tests.config.envoy_api import envoy_binary, extract
from tests.parity.proxies import find_envoy

ENVOY = find_envoy()


@pytest.fixture(scope="module")
def shipped() -> Any:
    return FileDescriptorSet.FromString(API.read_bytes())


def test_every_file_can_be_loaded(shipped: Any) -> None:
    pool = api_pool()
    for file in shipped.file:
        assert pool.FindFileByName(file.name).name == file.name
        for message in file.message_type:
            assert pool.FindMessageTypeByName(f"{file.package}.{message.name}").file.name == file.name


def test_what_is_not_there() -> None:
    for name in ("envoy.config.core.v3.Nothing", "nothing.At.All", "google.protobuf.Nothing"):
        with pytest.raises(KeyError):
            api_pool().FindMessageTypeByName(name)
    with pytest.raises(KeyError):
        api_pool().FindFileByName("no/such.proto")


@pytest.mark.skipif(ENVOY is None, reason="no Envoy here to compare with")
def test_they_are_those_of_envoy(shipped: Any) -> None:
    ours = {file.name: file.SerializeToString(deterministic=True) for file in shipped.file}
    theirs = {
        file.name: file.SerializeToString(deterministic=True)
        for file in extract(envoy_binary(str(ENVOY)).read_bytes()).file
    }
    assert [name for name in theirs if ours.get(name) != theirs[name]] == []
    assert ours.keys() == theirs.keys()
