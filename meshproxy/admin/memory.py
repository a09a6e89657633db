"""/memory: what the process uses, under the names that Envoy's allocator has for it."""

import resource
from pathlib import Path

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import Server


def resident_bytes() -> int:
    """Physical memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@page("/memory", "print current allocation/heap usage")
def memory(_server: Server, _request: Request) -> Answer:
    resident = str(resident_bytes())
    # Python's allocator has no thread caches, and gives free pages back by itself.
    numbers = {"allocated": resident, "heap_size": resident, "pageheap_unmapped": "0", "pageheap_free": "0",
               "total_thread_cache": "0", "total_physical_bytes": resident}  # fmt: skip
    return Answer(dump(numbers), content_type=JSON)
