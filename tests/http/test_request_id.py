"""x-request-id."""

import os
from uuid import UUID

from meshproxy.http.request_id import clear_trace_reason, new_request_id


def test_ids_are_uuids_and_differ() -> None:
    ids = {new_request_id() for _ in range(1000)}
    assert len(ids) == 1000
    for text in ids:
        uuid = UUID(text)
        assert str(uuid) == text and uuid.version == 4 and uuid.variant == "specified in RFC 4122"


def test_a_forked_process_makes_its_own() -> None:
    new_request_id()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, new_request_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() not in {new_request_id() for _ in range(500)}


def test_the_trace_reason_of_an_outsider_is_cleared() -> None:
    assert clear_trace_reason("28dde3ca-8788-958e-ada8-aa94c37aae0c") == "28dde3ca-8788-458e-ada8-aa94c37aae0c"
    assert clear_trace_reason("my own") == "my own"
