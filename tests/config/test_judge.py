"""The table of `cases.py`: our verdicts, and Envoy's own where there is one to ask."""

import subprocess
from pathlib import Path

import pytest

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.errors import ConfigError
from tests.config.cases import CASES, Case
from tests.parity.proxies import find_envoy

ENVOY = find_envoy()


def write(case: Case, folder: Path) -> str:
    path = folder / f"bootstrap.{case.suffix}"
    path.write_text(case.text)
    return str(path)


@pytest.mark.parametrize("case", CASES, ids=[f"{i}:{str(case)[:60]!r}" for i, case in enumerate(CASES)])
def test_we_judge_as_the_table_says(case: Case, tmp_path: Path) -> None:
    path = write(case, tmp_path)
    if case.accepted:
        load_bootstrap(path)
        return
    with pytest.raises(ConfigError) as refused:
        load_bootstrap(path)
    assert str(refused.value)


@pytest.mark.skipif(ENVOY is None, reason="no Envoy here to ask")
@pytest.mark.parametrize("part", range(8))
def test_envoy_judges_as_the_table_says(part: int, tmp_path: Path) -> None:
    wrong = []
    for case in CASES[part::8]:
        command = [str(ENVOY), "--mode", "validate", "--disable-hot-restart", "-l", "off", "-c", write(case, tmp_path)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        if (done.returncode == 0) != case.accepted:
            wrong.append(f"{case} -> {done.returncode}")
    assert not wrong, "\n".join(wrong)
