"""Where the admin interface listens, and what it logs."""

import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from meshproxy.admin.build_admin import build_admin
from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.process.admin_client import ask
from tests.admin.conftest import BOOTSTRAP, Start

TCP = "{socket_address: {address: 127.0.0.1, port_value: 0}}"


def test_on_a_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    start(BOOTSTRAP.replace(TCP, f"{{pipe: {{path: {path}, mode: 384}}}}", 1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ask(str(path), "GET", "/ready") == (200, "OK", b"LIVE\n")
    assert ask(str(path), "POST", "/runtime_modify", b"a=1").body == b"OK\n"


def test_on_an_abstract_socket(start: Start, tmp_path: Path) -> None:
    name = f"@meshproxy-{tmp_path}"
    start(BOOTSTRAP.replace(TCP, f'{{pipe: {{path: "{name}"}}}}', 1))
    assert ask(name, "GET", "/ready").body == b"LIVE\n"


@pytest.mark.parametrize("text", ["{}", "admin: {}", "admin: {ignore_global_conn_limit: true}"])
def test_nowhere_unless_told_to(text: str) -> None:
    loaded = load_bootstrap(None, text)
    process: Any = None
    assert build_admin(loaded.view.admin, process) is None


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_on_ipv6(start: Start) -> None:
    admin = start(BOOTSTRAP.replace(TCP, '{socket_address: {address: "::1", port_value: 0}}', 1))
    assert ask(f"[::1]:{admin.port}", "GET", "/ready").body == b"LIVE\n"


LOG = """
admin:
  address: {{pipe: {{path: {folder}/admin.sock}}}}
  access_log:
  - name: file
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
      path: {folder}/log
      log_format: {{text_format_source: {{inline_string: "{format}\\n"}}}}
"""
FORMAT = "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %BYTES_SENT% %DOWNSTREAM_REMOTE_ADDRESS%"


def test_access_log(start: Start, tmp_path: Path) -> None:
    admin = start(LOG.format(folder=tmp_path, format=FORMAT))
    path = f"{tmp_path}/admin.sock"
    ask(path, "GET", "/stats/../ready")
    ask(path, "GET", "/quitquitquit")
    ask(path, "POST", "/reopen_logs")
    admin.process.ctx.log_files.close()
    assert (tmp_path / "log").read_text().splitlines() == [
        f"GET /ready 200 admin_filter_response 5 {path}",
        f"GET /quitquitquit 405 admin_filter_response 38 {path}",
        f"POST /reopen_logs 200 admin_filter_response 3 {path}",
    ]
