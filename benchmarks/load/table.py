"""Medians of the rounds, ratios, and the Markdown that shows them."""

import platform
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .cases import CPU
from .proxies import NAMES


class Row(NamedTuple):
    """One figure of one case: a median per proxy."""

    case: str
    about: str
    figure: str
    goal: float | None
    values: dict[str, float]

    def ratio(self, other: str) -> float | None:
        if "meshproxy" not in self.values or not self.values.get(other):
            return None
        return self.values["meshproxy"] / self.values[other]


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {figure: statistics.median(one[figure] for one in rounds) for figure in rounds[0]}


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return f"{model}, Linux {platform.release()}, Python {platform.python_version()}; one core for the proxy"


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def markdown(rows: Iterable[Row], rounds: int) -> str:
    rows = list(rows)
    present = [name for name in NAMES if any(name in row.values for row in rows)]
    lines = [
        f"Medians of {rounds} interleaved rounds; lower is better. {machine()}.",
        "",
        f"| case | figure | {' | '.join(present)} | × Envoy | goal | × bare |",
        f"|---|---|{'---:|' * len(present)}---:|---|---:|",
    ]
    for row in rows:
        values = " | ".join(number(row.values.get(name)) for name in present)
        ratio = row.ratio("envoy")
        goal = "" if row.goal is None else f"≤ {row.goal}"
        if row.goal is not None and ratio is not None:
            goal += " reached" if ratio <= row.goal else " **not reached**"
        ratios = f"{number(ratio)} | {goal} | {number(row.ratio('bare'))}"
        lines.append(f"| {row.about} | {row.figure} | {values} | {ratios} |")
    return "\n".join([*lines, *_own_costs(rows)])


def _own_costs(rows: list[Row]) -> list[str]:
    """What is asked more of, against the plain case of the same proxy."""
    cpu = {row.case: row.values for row in rows if row.figure == CPU}
    ten, many = cpu.get("get", {}), cpu.get("routes-10000", {})
    watched = cpu.get("outliers", {})
    lines = []
    for what, costly, goal in (("10,000 routes cost", many, "1.2"), ("Outlier detection costs", watched, "1.05")):
        ratios = [f"{name} {costly[name] / ten[name]:.2f}" for name in NAMES if name in ten and name in costly]
        if ratios:
            lines += ["", f"{what} this many times a plain GET: {', '.join(ratios)} (goal: ≤ {goal})."]
    return lines
