"""Two observations become a list of differences, each with its place and, where it is meant, its reason."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

ABSENT = "<absent>"
LAST_WORDS = 8  # lines shown of what a proxy printed before it gave up


@dataclass(frozen=True, slots=True)
class Difference:
    place: str  # such as client.a.0.headers
    envoy: Any
    ours: Any
    reason: str | None = None  # from the scenario's `differs`

    def __str__(self) -> str:
        if self.place in ("refused", "crashed"):
            last = str(self.ours).splitlines()[-LAST_WORDS:]
            return "\n".join([f"  {self.place}:", *(f"      {line}" for line in last)])
        if isinstance(self.envoy, list) and isinstance(self.ours, list):
            lines = difflib.ndiff([str(item) for item in self.envoy], [str(item) for item in self.ours])
            detail = "\n".join(f"      {line.rstrip()}" for line in lines if not line.startswith("?"))
        else:
            detail = f"      - {_text(self.envoy)}\n      + {_text(self.ours)}"
        return f"  {self.place}{f' (meant: {self.reason})' if self.reason else ''}\n{detail}"


@dataclass(frozen=True, slots=True)
class Verdict:
    unmeant: tuple[Difference, ...]
    meant: tuple[Difference, ...]
    stale: tuple[str, ...]  # entries of `differs` that no difference needs any more

    @property
    def passed(self) -> bool:
        return not self.unmeant and not self.stale

    def __str__(self) -> str:
        lines = [str(difference) for difference in self.unmeant]
        lines += [f"  {place}: listed in `differs`, but both do the same" for place in self.stale]
        return "\n".join(lines)


def judge(envoy: Mapping[str, Any], ours: Mapping[str, Any], differs: Mapping[str, str]) -> Verdict:
    """`differs` maps a place (shell pattern) to the reason why we differ there; one that did not run differs once.

    To refuse a configuration may be meant (`refused`, by that name alone), to crash never is.
    """
    if "crashed" in ours:
        return Verdict((Difference("crashed", ABSENT, ours["crashed"]),), (), ())
    if "refused" in ours:
        refused = Difference("refused", ABSENT, ours["refused"], differs.get("refused"))
        return Verdict(() if refused.reason else (refused,), (refused,) if refused.reason else (), ())
    found = [_with_reason(difference, differs) for difference in differences(envoy, ours)]
    needed = {pattern for pattern in differs for difference in found if fnmatchcase(difference.place, pattern)}
    return Verdict(
        unmeant=tuple(difference for difference in found if difference.reason is None),
        meant=tuple(difference for difference in found if difference.reason is not None),
        stale=tuple(pattern for pattern in differs if pattern not in needed),
    )


def differences(envoy: Any, ours: Any, place: str = "") -> Iterator[Difference]:
    """Mappings are compared by key, lists of mappings by index, everything else (header lists too) as a whole."""
    if isinstance(envoy, Mapping) and isinstance(ours, Mapping):
        for key in [*envoy, *(key for key in ours if key not in envoy)]:
            yield from differences(envoy.get(key, ABSENT), ours.get(key, ABSENT), f"{place}.{key}".lstrip("."))
    elif _of_mappings(envoy) and _of_mappings(ours):
        for index in range(max(len(envoy), len(ours))):
            yield from differences(_at(envoy, index), _at(ours, index), f"{place}.{index}")
    elif envoy != ours or type(envoy) is not type(ours):
        yield Difference(place, envoy, ours)


def _with_reason(difference: Difference, differs: Mapping[str, str]) -> Difference:
    for pattern, reason in differs.items():
        if fnmatchcase(difference.place, pattern):
            return Difference(difference.place, difference.envoy, difference.ours, reason)
    return difference


def _of_mappings(node: Any) -> bool:
    return isinstance(node, list) and all(isinstance(item, Mapping | list) for item in node)


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else ABSENT


def _text(value: Any) -> str:
    return value if value == ABSENT else json.dumps(value, ensure_ascii=False)
