"""What a mesh is for, shown on Bookinfo as it runs: shifting, faults, a breaker, an ejected pod, and who is who.

Each stop does something to the mesh, asks what a visitor or an operator would ask, and says what came back.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol


class Mesh(Protocol):
    """Bookinfo as the tour needs it. Places are `productpage`, `reviews-v1` and so on."""

    def page(self, user: str = "") -> tuple[int, str]: ...
    def version(self, user: str = "") -> str: ...
    def admin(self, place: str, method: str, path: str) -> tuple[int, str]: ...
    def outbound(self, place: str) -> int: ...
    def tell(self, place: str, path: str) -> None: ...


def shift(mesh: Mesh) -> Iterator[str]:
    """Shift traffic: reviews from 90/10 to 0/100, without a restart."""
    yield f"weights 90/10:  {_versions(mesh)}"
    mesh.admin("productpage", "POST", "/runtime_modify?reviews.reviews-v1=0&reviews.reviews-v3=100")
    yield f"weights 0/100:  {_versions(mesh)}"
    mesh.admin("productpage", "POST", "/runtime_modify?reviews.reviews-v1=&reviews.reviews-v3=")


def faults(mesh: Mesh) -> Iterator[str]:
    """Inject faults: five seconds for sleepy, a 503 from ratings for grumpy, nothing for others."""
    for user in ("jason", "sleepy", "grumpy"):
        if user == "grumpy":
            # He needs a version that asks for stars.
            mesh.admin("productpage", "POST", "/runtime_modify?reviews.reviews-v1=0&reviews.reviews-v3=100")
        begun = time.monotonic()
        _, page = mesh.page(user)
        stars = "stars" if "of 5 stars" in page else "no stars: Ratings are not available right now"
        yield f"{user:7} waits {time.monotonic() - begun:.1f} s, and sees {stars}"
    mesh.admin("productpage", "POST", "/runtime_modify?reviews.reviews-v1=&reviews.reviews-v3=")


def breaker(mesh: Mesh) -> Iterator[str]:
    """Trip a circuit breaker: forty calls to details at once, where two are allowed."""
    answers: Counter[str] = Counter()
    start = threading.Barrier(40)

    def call() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", mesh.outbound("productpage"), timeout=10)
        start.wait()
        connection.request("GET", "/details/0", headers={"host": "details"})
        answer = connection.getresponse()
        answer.read()
        answers[f"{answer.status}" + (", overloaded" if answer.getheader("x-envoy-overloaded") else "")] += 1
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield "answers: " + "; ".join(f"{count} × {answer}" for answer, count in sorted(answers.items()))
    yield _stat(mesh, "cluster.details.upstream_rq_pending_overflow")


def outlier(mesh: Mesh) -> Iterator[str]:
    """Eject a pod: one of the two pods of reviews v1 begins to answer 500."""
    mesh.tell("reviews-v1", "/broken")
    answers = Counter("reviews" if mesh.version() else "no reviews" for _ in range(20))
    yield "20 pages: " + ", ".join(f"{count} × with {what}" for what, count in sorted(answers.items()))
    for address, state in _endpoints(mesh, "reviews-v1").items():
        yield f"{address} {state}"
    yield _stat(mesh, "cluster.reviews-v1.outlier_detection.ejections_enforced_total")


def identities(mesh: Mesh) -> Iterator[str]:
    """Who talked to whom: the names in the certificates of both ends."""
    for place in ("productpage", "ratings"):
        status, text = mesh.admin(place, "GET", "/peers?format=json")
        if status != 200:
            yield "this proxy has no page /peers"
            return
        for peer in json.loads(text)["peers"]:
            arrow = "called by" if peer["direction"] == "inbound" else "calls"
            yield f"{place:12} {arrow:9} {peer['identity']}  ({peer['requests']} requests)"


STOPS: tuple[Callable[[Mesh], Iterator[str]], ...] = (shift, faults, breaker, outlier, identities)


def tour(mesh: Mesh) -> None:
    for number, stop in enumerate(STOPS, 1):
        print(f"\n{number}. {(stop.__doc__ or '').strip()}", flush=True)
        for line in stop(mesh):
            print(f"     {line}", flush=True)


def _versions(mesh: Mesh) -> str:
    seen = Counter(mesh.version() for _ in range(20))
    return ", ".join(f"{count} × {version}" for version, count in sorted(seen.items()))


def _stat(mesh: Mesh, name: str) -> str:
    return mesh.admin("productpage", "GET", f"/stats?filter=^{name}$")[1].strip()


def _endpoints(mesh: Mesh, cluster: str) -> dict[str, str]:
    """What the product page's sidecar thinks of a cluster's endpoints."""
    rows = [line.split("::") for line in mesh.admin("productpage", "GET", "/clusters")[1].splitlines()]
    return {
        row[1]: "is ejected" if "failed_outlier_check" in row[3] else f"is {row[3]}"
        for row in rows
        if row[0] == cluster and row[2:3] == ["health_flags"]
    }
