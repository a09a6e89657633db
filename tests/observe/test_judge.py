"""Envoy's own verdict on formats: which it takes, and with which words it refuses the others."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from meshproxy.observe.formatter import compile_format
from meshproxy.observe.operators import TABLE, Operator
from tests.parity.proxies import find_envoy

ENVOY = find_envoy()
pytestmark = pytest.mark.skipif(ENVOY is None, reason="no Envoy here to ask")

# A good argument for the operators that do not take just any.
ARGUMENTS = {
    "COALESCE": '{"operators":["PROTOCOL"]}', "COMMON_DURATION": "DS_RX_BEG:DS_TX_END:us", "GRPC_STATUS": "NUMBER",
    "METADATA": "ROUTE:a:b", "PATH": "NQ:ORIG", "QUERY_PARAMS": "DECODED", "REQUESTED_SERVER_NAME": "SNI_FIRST:HOST",
}  # fmt: skip
NEVER_ALONE = ("METADATA", "FILTER_STATE", "UPSTREAM_FILTER_STATE")
NOT_HERE = ("CEL", "TYPED_CEL")


def verdict(folder: Path, formats: list[str]) -> str:
    """Envoy's reason against one of the formats; "" where it takes them all."""
    logs = [
        {
            "name": "file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": "/dev/null",
                "log_format": {"text_format_source": {"inline_string": text}},
            },
        }
        for text in formats
    ]
    listener: dict[str, Any] = {
        "name": "l", "access_log": logs, "filter_chains": [{}],
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
    }  # fmt: skip
    path = folder / "bootstrap.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    command = [str(ENVOY), "--mode", "validate", "--disable-hot-restart", "-l", "critical", "-c", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stderr.strip().partition(f"'{path}': ")[2]


def forms(name: str, known: Operator) -> tuple[list[str], list[str]]:
    """The operator as it may stand, and as it may not."""
    good = ARGUMENTS.get(name, "a")
    plain, argued = f"%{name}%", f"%{name}({good})%"
    cut = f"%{name}({good}):3%" if known.argument != "none" else f"%{name}:3%"
    takes = [argued] if known.argument != "none" else []
    refuses = [argued] if known.argument == "none" else []
    (refuses if name in NEVER_ALONE or known.argument == "required" else takes).append(plain)
    (takes if known.length else refuses).append(cut)
    return takes, refuses


def test_envoy_takes_what_we_take(tmp_path: Path) -> None:
    taken = [text for name, known in TABLE.items() if name not in NOT_HERE for text in forms(name, known)[0]]
    for text in taken:
        compile_format(text)
    assert verdict(tmp_path, taken) == ""


@pytest.mark.parametrize("part", range(4))
def test_envoy_refuses_what_we_refuse_with_the_same_words(part: int, tmp_path: Path) -> None:
    texts = [text for name, known in TABLE.items() if name not in NOT_HERE for text in forms(name, known)[1]]
    texts += ["%FOO%", "%REQ(a", "%REQ(a?b?c)%", "100%", "%%%", "%REQ(a):-1%", "%protocol%", "%PATH(XX)%"]
    # Operators that differ in nothing but their name are judged by every eighth of them.
    different = []
    for text in texts[part::8]:
        with pytest.raises(ValueError) as refused:
            compile_format(text)
        if (reason := verdict(tmp_path, [text])) != str(refused.value):
            different.append(f"{text}: Envoy {reason!r}, ours {str(refused.value)!r}")
    assert not different, "\n".join(different)
