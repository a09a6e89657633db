"""docs/mesh.md: its two lines make what it says."""

import re
import subprocess
import sys
from pathlib import Path

from tests.parity.proxies import REPOSITORY


def test_two_lines_make_certificates(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "mesh.md").read_text()
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    lines = block[1].splitlines()
    assert len(lines) == 2
    for line in lines:
        words = line.replace("--dir certs", f"--dir {tmp_path}").split()
        done = subprocess.run([sys.executable, "-m", *words], cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    named = re.search(r"`certs/reviews/` has\n`([\w.-]+)`, `([\w.-]+)` and `([\w.-]+)`", text)
    assert named is not None
    assert {path.name for path in (tmp_path / "reviews").iterdir()} == set(named.groups())
    assert "spiffe://cluster.local/ns/default/sa/reviews" in done.stdout
