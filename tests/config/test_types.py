"""Message classes by name, without the generated modules."""

import subprocess
import sys

import pytest

from meshproxy.config.types import UnknownType, message_class, type_name


@pytest.mark.parametrize(
    "name",
    [
        "envoy.config.bootstrap.v3.Bootstrap",
        "envoy.config.route.v3.RouteAction.HashPolicy.Header",
        "envoy.extensions.filters.http.router.v3.Router",
        "udpa.type.v1.TypedStruct",
        "xds.type.v3.TypedStruct",
        "google.protobuf.UInt32Value",
        "google.rpc.Status",
    ],
)
def test_known(name: str) -> None:
    assert message_class(name).DESCRIPTOR.full_name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "this.Zen",
        "os.Path",
        "envoy.Nothing",
        "envoy.config.core.v3.Nothing",
        "envoy/../../x.Y",
        "envoy.type",
        "envoy.api.v2.Cluster",
    ],
)
def test_unknown(name: str) -> None:
    with pytest.raises(UnknownType):
        message_class(name)


def test_generated_modules_may_be_imported_beside() -> None:
    from envoy.config.route.v3 import route_components_pb2

    theirs = route_components_pb2.RouteMatch(prefix="/")
    ours = message_class("envoy.config.route.v3.RouteMatch").FromString(theirs.SerializeToString())
    assert ours.prefix == "/"
    assert "cookies" in ours.DESCRIPTOR.fields_by_name


def test_no_generated_module_of_envoy_is_imported() -> None:
    program = (
        "import sys; from meshproxy.config.types import message_class;"
        "message_class('envoy.config.bootstrap.v3.Bootstrap')();"
        "print([name for name in sys.modules if name.startswith('envoy.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_type_name() -> None:
    assert type_name("type.googleapis.com/a.B") == "a.B"
    assert type_name("a.B") == "a.B"
