"""What a filter counts with prometheus-client, on the page for Prometheus."""

import json
import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import REGISTRY, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from meshproxy.observe.families import Families
from meshproxy.observe.filter_metrics import filter_metrics
from meshproxy.observe.prometheus import write, write_openmetrics
from meshproxy.observe.selection import Selection
from meshproxy.observe.stats_config import StatsConfig

_IN_A_PROCESS = """
import json
from meshproxy.observe.filter_metrics import filter_metrics
before = filter_metrics(False)
from prometheus_client import Counter
Counter("tea", "Cups of tea").inc(3)
print(json.dumps([before, filter_metrics(False)]))
"""


def _run(**environment: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_PROCESS], env={**os.environ, **environment}, capture_output=True, check=True
    )
    before, after = json.loads(done.stdout)
    return before, after


def test_nothing_where_no_filter_has_the_library() -> None:
    before, after = _run()
    assert before == ""
    assert "# HELP tea_total Cups of tea\n# TYPE tea_total counter\ntea_total 3.0\n" in after


def test_with_several_processes_their_numbers_are_added_up(tmp_path: Path) -> None:
    _run(PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    _, after = _run(PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert "tea_total 6.0\n" in after


def test_they_stand_behind_ours() -> None:
    counter = Counter("cups", "Cups", ["kind"])
    try:
        counter.labels("gr\u00fcn").inc()
        text = "".join(write(_none(), _bounds, others=filter_metrics(False)))
        assert 'cups_total{kind="gr\u00fcn"} 1.0\n' in text.encode("latin-1").decode()
        open_metrics = "".join(write_openmetrics(_none(), _bounds, others=filter_metrics(True)))
        families = {family.name for family in text_string_to_metric_families(open_metrics)}
        assert "cups" in families
        assert open_metrics.count("# EOF") == 1
    finally:
        REGISTRY.unregister(counter)


def _none() -> Families:
    return Families(Selection(), StatsConfig().shapes)


def _bounds(_name: str) -> tuple[float, ...]:
    return ()
