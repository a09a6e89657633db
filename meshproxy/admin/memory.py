"""/memory: what the whole proxy uses, under the names that Envoy's allocator has for it."""

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import Server
from meshproxy.observe.memory import memory_of_all


@page("/memory", "print current allocation/heap usage")
def memory(_server: Server, _request: Request) -> Answer:
    # Python's allocator has no thread caches, and gives free pages back by itself.
    allocated, physical = map(str, memory_of_all())
    numbers = {"allocated": allocated, "heap_size": allocated, "pageheap_unmapped": "0", "pageheap_free": "0",
               "total_thread_cache": "0", "total_physical_bytes": physical}  # fmt: skip
    return Answer(dump(numbers), content_type=JSON)
