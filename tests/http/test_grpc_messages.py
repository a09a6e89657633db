"""Messages in the bytes of a stream."""

import pytest

from meshproxy.http.grpc import decode_message, encode_message
from meshproxy.http.grpc_messages import MessageReader, MessageTooLong, frame_message


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_messages_come_in_any_pieces(size: int) -> None:
    messages = [b"", b"a", b"x" * 20]
    data = b"".join(map(frame_message, messages))
    reader = MessageReader()
    found = [each for at in range(0, len(data), size) for each in reader.feed(data[at : at + size])]
    assert found == [(0, message) for message in messages]
    assert not reader.unfinished


def test_a_message_is_not_longer_than_allowed() -> None:
    reader = MessageReader(3)
    assert reader.feed(frame_message(b"abc", 1)) == [(1, b"abc")]
    with pytest.raises(MessageTooLong):
        reader.feed(frame_message(b"abcd")[:5])


def test_what_is_left_is_known() -> None:
    reader = MessageReader()
    assert reader.feed(b"\0\0") == [] and reader.unfinished


def test_texts_of_statuses() -> None:
    assert decode_message(encode_message("all 100% of it")) == "all 100% of it"
    assert decode_message("caf%C3%A9 %zz") == "caf\u00e9 %zz"
