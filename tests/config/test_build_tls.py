"""What is wrong with a TLS context, in Envoy's words."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshproxy.config.build_downstream_tls import build_downstream_tls
from meshproxy.config.build_upstream_tls import build_upstream_tls
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.parse import parse
from meshproxy.config.view import View
from tests.kit import pki

TLS = "envoy.extensions.transport_sockets.tls.v3."
HASH = "z" * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pki.write(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def ctx() -> Iterator[Context]:
    loop = asyncio.new_event_loop()
    yield Context(loop)
    loop.close()


def view(kind: str, tree: Any) -> View:
    message, problems = parse(tree, TLS + kind)
    assert not problems
    return View(message)


def refusal(ctx: Context, tree: Any, kind: str = "DownstreamTlsContext") -> str:
    with pytest.raises(ConfigError) as caught:
        if kind == "DownstreamTlsContext":
            build_downstream_tls(view(kind, tree), ctx, "a chain", 0.0)
        else:
            build_upstream_tls(view(kind, tree), ctx, "a")
    return str(caught.value)


@pytest.mark.parametrize(
    ("common", "words"),
    [
        ("{}", "No TLS certificates found for server context"),
        ("{tls_certificates: [{certificate_chain: SERVER.pem}]}", "Failed to load incomplete private key from path: "),
        ("{tls_certificates: [{certificate_chain: SERVER.pem, private_key: CLIENT.key}]}", "KEY_VALUES_MISMATCH"),
        ("{tls_certificates: [{certificate_chain: {inline_string: x}, private_key: {inline_string: y}}]}",
         "Failed to load certificate chain from <inline>"),
        ("{tls_certificates: [{certificate_chain: SERVER.pem, private_key: {inline_string: y}}]}",
         "Failed to load private key from <inline>"),
        ("{tls_certificates: [{certificate_chain: SERVER.pem, private_key: SERVER.locked.key}]}",
         "Failed to load private key from"),
        ("{GOOD, tls_params: {cipher_suites: [NOSUCH, '[A|ECDHE-RSA-AES128-GCM-SHA256]']}}",
         "were rejected when tried individually: NOSUCH, A"),
        ("{GOOD, tls_params: {ecdh_curves: [P-256, nosuch]}}", "Failed to initialize ECDH curves P-256:nosuch"),
        ("{GOOD, tls_params: {signature_algorithms: [nosuch]}}", "Failed to initialize TLS signature algorithms"),
        ("{GOOD, validation_context: {match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]}}",
         "SAN-based verification of peer certificates without trusted CA is insecure and not allowed"),
        ("{GOOD, validation_context: {verify_certificate_hash: [" + HASH + "]}}", "Invalid hex-encoded SHA-256 zz"),
        ("{GOOD, validation_context: {crl: {inline_string: x}}}", "Failed to load CRL from <inline> without"),
        ("{GOOD, validation_context: {trusted_ca: {inline_string: x}}}", "Failed to load trusted CA certificates from"),
        ("{GOOD, validation_context: {allow_expired_certificate: true}}", "Certificate validity period is always"),
        ("{tls_certificate_sds_secret_configs: [{name: x}]}", "Unknown static secret: x"),
        ("{tls_certificate_sds_secret_configs: [{name: x, sds_config: {ads: {}}}]}", "SDS over gRPC"),
        ("{GOOD, key_log: {path: /tmp/keys}}", "session secrets are not written anywhere"),
    ],
)  # fmt: skip
def test_what_is_refused(ctx: Context, folder: Path, common: str, words: str) -> None:
    good = "tls_certificates: [{certificate_chain: SERVER.pem, private_key: SERVER.key}]"
    text = common.replace("GOOD", good)
    for name in ("SERVER.locked.key", "SERVER.pem", "SERVER.key", "CLIENT.key"):
        text = text.replace(f": {name}", f": {{filename: {folder / name.replace('SERVER', 'server').lower()}}}")
    found = refusal(ctx, {"common_tls_context": yaml.safe_load(text)})
    assert words in found and found.startswith("common_tls_context"), found


def test_ticket_keys_have_their_length(ctx: Context) -> None:
    found = refusal(ctx, {"session_ticket_keys": {"keys": [{"inline_string": "short"}]}, **_minimal()})
    assert "Incorrect TLS session ticket key length. Length 5, expected length 80." in found


def test_names_from_sni_need_authorities(ctx: Context) -> None:
    found = refusal(ctx, {"auto_sni_san_validation": True, "sni": "a"}, "UpstreamTlsContext")
    assert "without a validation context" in found


def test_a_key_is_never_shown(ctx: Context, folder: Path) -> None:
    settings = build_downstream_tls(view("DownstreamTlsContext", _minimal(folder)), ctx, "a chain", 0.0).settings
    assert settings is not None
    assert "PRIVATE" not in repr(settings) and "PRIVATE" not in json.dumps(str(settings))


def _minimal(folder: Path | None = None) -> dict[str, Any]:
    certificate: dict[str, Any] = {"certificate_chain": {"inline_string": "x"}, "private_key": {"inline_string": "y"}}
    if folder is not None:
        certificate = {
            "certificate_chain": {"filename": str(folder / "server.pem")},
            "private_key": {"filename": str(folder / "server.key")},
        }
    return {"common_tls_context": {"tls_certificates": [certificate]}}
