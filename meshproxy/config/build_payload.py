"""What health checks send and expect (envoy.config.core.v3.HealthCheck.Payload)."""

from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View


def build_payload(view: View) -> bytes:
    kind = view.which("payload")
    if kind == "binary":
        return bytes(view.binary)
    try:
        return bytes.fromhex(view.text) if view.text.isalnum() else _refuse(view.text)
    except ValueError:
        return _refuse(view.text)


def build_payloads(view: View, field: str) -> tuple[bytes, ...]:
    payloads = []
    for i, each in enumerate(getattr(view, field)):
        with view.at(field, i):
            payloads.append(build_payload(each))
    return tuple(payloads)


def _refuse(text: str) -> bytes:
    raise ConfigError(f"invalid hex string '{text}'")
