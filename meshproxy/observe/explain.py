"""Why an exchange failed, in a sentence: what its flags mean (meanings.py), with names, addresses and figures.

The first flag of a failure makes the sentence; what follows it (URX behind UF, say) adds its `also`.
"""

import re

from meshproxy.observe.failures import Failure, shown
from meshproxy.observe.meanings import MEANINGS, OTHER, WITHOUT_FLAG, Meaning


def meaning(failure: Failure) -> Meaning:
    if failure.flags and not _answered(failure):
        return MEANINGS.get(_causes(failure)[0], OTHER)
    return WITHOUT_FLAG.get(failure.details, OTHER)


def _causes(failure: Failure) -> tuple[str, ...]:
    """Its flags, what went wrong in front: why there was no further try was found before that was counted."""
    first, *rest = failure.flags
    return (*rest, first) if rest and first in _OF_RETRIES else failure.flags


def _answered(failure: Failure) -> bool:
    """The upstream answered with an error, whatever flags came before (an injected delay, say)."""
    return failure.status >= 500 and failure.details == "via_upstream"


def sentence(failure: Failure) -> str:
    """With a capital, unless it begins with the name of a cluster, and a full stop."""
    text = explain(failure)
    named = meaning(failure).says.startswith("{upstream}")
    return f"{text if named else text[:1].upper() + text[1:]}."


def explain(failure: Failure) -> str:
    """One sentence without its full stop: `could not connect to reviews v2 at 10.0.0.7:9080: connection refused`."""
    words = _words(failure)
    text = meaning(failure).says.format_map(words)
    flags = _causes(failure) if failure.flags else ()
    for flag in flags[0 if _answered(failure) else 1 :]:
        more = MEANINGS.get(flag, OTHER).also
        if more:
            text = f"{text}, {more.format_map(words)}"
    return text


def flag_text(failure: Failure) -> str:
    """As access logs write flags; `5xx` where there are none."""
    return ",".join(failure.flags) or "5xx"


def seconds_text(seconds: float) -> str:
    """`300 ms`, `1.5 s`, `20 s`, `5 min`."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 120:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    return f"{round(seconds / 60)} min"


def _words(failure: Failure) -> dict[str, str]:
    """Everything that a sentence may name."""
    facts = failure.facts
    cluster = f"cluster {failure.cluster}" if failure.cluster else "the upstream"
    attempts = facts.get("attempts", 1)
    begun = "after_response_started" in failure.details
    return {
        "attempts": f"{attempts} attempts" if attempts > 1 else "the only attempt that is allowed",
        "client": failure.client or "of this connection",
        "cluster": cluster,
        "connection": "request" if failure.method else "connection",
        "detail": _braced(failure.details) or "the details name it",
        "elapsed": seconds_text(failure.elapsed),
        "from_upstream": f" from {_upstream(failure)}" if failure.cluster else "",
        "healthy": _healthy(facts),
        "idle": seconds_text(facts.get("timeout", failure.elapsed)),
        "limit": _limit(failure),
        "reason": _reason(failure),
        "request": f"{failure.method} {failure.path}".strip() or "the connection",
        "spoke": "broke off its answer, or spoiled it" if begun else "does not speak proper HTTP",
        "status": str(failure.status),
        "target": _target(failure),
        "upstream": _upstream(failure),
        "wanted": _wanted(facts),
        "when": _when(failure, begun),
        "within": f"within {seconds_text(facts['timeout'])}" if facts.get("timeout") else "in time",
        "words": _SIGNS.sub(" ", shown(failure.details)).strip() or "no more is known",
    }


def _upstream(failure: Failure) -> str:
    """`reviews v2 at 10.0.0.7:9080`, as far as it is known."""
    name = failure.cluster or "the upstream"
    if failure.version and failure.version not in name:
        name = f"{name} {failure.version}"
    return f"{name} at {failure.endpoint}" if failure.endpoint else name


def _healthy(facts: dict[str, int]) -> str:
    total, healthy = facts.get("total", 0), facts.get("healthy", 0)
    if not total:
        return "no endpoints: they could not be looked up" if facts.get("lookups_failed") else "no endpoints at all"
    if healthy:
        return f"no endpoint that fits what is asked for, though {healthy} of {total} are healthy"
    return f"no healthy endpoint among {total}" if total > 1 else "one endpoint, which is not healthy"


def _wanted(facts: dict[str, str]) -> str:
    if facts.get("wanted"):
        return f"cluster {facts['wanted']}, which does not exist"
    return "no cluster: what should name it is missing from the request"


def _when(failure: Failure, begun: bool) -> str:
    if failure.status == 101:
        return "that had been upgraded"
    return "in the middle of its answer" if begun else "before it answered"


def _limit(failure: Failure) -> str:
    if failure.details == "maintenance_mode":
        return f"an operator turns requests away (runtime key upstream.maintenance_mode.{failure.cluster})"
    if "limit" not in failure.facts:
        return "all that it may have is in use"
    return f"{failure.facts['limit']} is {failure.facts['most']}"


def _target(failure: Failure) -> str:
    if not failure.method:
        return f"{failure.client or 'the client'}: no filter chain matches the connection"
    if failure.route:
        return f"{failure.method} {failure.path}: no route of the virtual host {failure.route} matches"
    return f"the host {failure.host}: no virtual host has that domain"


# Why there was no further try; what follows is why one was wanted.
_OF_RETRIES = frozenset({"URX", "UO"})
_SIGNS = re.compile("[_{}|.]+")
_STAGE = re.compile(r"^(?:immediate|delayed) connect error: ")


def _reason(failure: Failure) -> str:
    """What the socket said, in its own words."""
    said = shown(failure.reason).replace("_", " ").partition("|")[0]
    if said:
        said = _STAGE.sub("", said)
        return said[:1].lower() + said[1:]
    words = _braced(failure.details).replace("_", " ")
    timeout = failure.facts.get("connect_timeout")
    if timeout and (not words or "timeout" in words):
        return f"no connection within {seconds_text(timeout)}"
    return words or "no reason is known"


def _braced(details: str) -> str:
    """What stands in the braces of `upstream_reset_before_response_started{connection_timeout}`."""
    return shown(details).partition("{")[2].rstrip("}").partition("|")[0]
