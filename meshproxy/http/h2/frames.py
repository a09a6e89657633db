"""HTTP/2 frames: their numbers, and how they are written (RFC 9113 §4, §6, §7)."""

from collections.abc import Iterable
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
INTERNAL_ERROR = 0x2
FLOW_CONTROL_ERROR = 0x3
SETTINGS_TIMEOUT = 0x4
STREAM_CLOSED = 0x5
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
CANCEL = 0x8
COMPRESSION_ERROR = 0x9
CONNECT_ERROR = 0xA
ENHANCE_YOUR_CALM = 0xB
INADEQUATE_SECURITY = 0xC
HTTP_1_1_REQUIRED = 0xD

HEADER_TABLE_SIZE = 0x1
ENABLE_PUSH = 0x2
MAX_CONCURRENT_STREAMS = 0x3
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5
MAX_HEADER_LIST_SIZE = 0x6
ENABLE_CONNECT_PROTOCOL = 0x8
NO_RFC7540_PRIORITIES = 0x9

DEFAULT_WINDOW = 65535
DEFAULT_FRAME_SIZE = 16384
MAX_WINDOW = 2**31 - 1
LARGEST_STREAM_ID = 2**31 - 1

# Length and type in one number, flags, stream: what stands in front of every payload.
FRAME = Struct(">IBI")
_TWO_WORDS = Struct(">IBIII")
_ONE_WORD = Struct(">IBII")
_SETTING = Struct(">HI")


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Any frame."""
    return FRAME.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def headers(stream_id: int, block: bytes, end: bool, max_frame: int) -> bytes:
    """A header block as HEADERS, and as many CONTINUATION as it needs."""
    flags = END_STREAM if end else 0
    if len(block) <= max_frame:
        return FRAME.pack(len(block) << 8 | HEADERS, flags | END_HEADERS, stream_id) + block
    parts = [FRAME.pack(max_frame << 8 | HEADERS, flags, stream_id), block[:max_frame]]
    for at in range(max_frame, len(block), max_frame):
        piece = block[at : at + max_frame]
        last = END_HEADERS if at + max_frame >= len(block) else 0
        parts += (FRAME.pack(len(piece) << 8 | CONTINUATION, last, stream_id), piece)
    return b"".join(parts)


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    """SETTINGS with these identifiers and values, in this order."""
    return frame(SETTINGS, 0, 0, b"".join([_SETTING.pack(*pair) for pair in values]))


SETTINGS_ACK = frame(SETTINGS, ACK, 0, b"")


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Identifiers and values of a payload whose length is a multiple of six."""
    return list(_SETTING.iter_unpack(payload))


def window_update(stream_id: int, increment: int) -> bytes:
    return _ONE_WORD.pack(4 << 8 | WINDOW_UPDATE, 0, stream_id, increment)


def rst_stream(stream_id: int, code: int) -> bytes:
    return _ONE_WORD.pack(4 << 8 | RST_STREAM, 0, stream_id, code)


def ping(data: bytes, ack: bool = False) -> bytes:
    """data: 8 bytes."""
    return frame(PING, ACK if ack else 0, 0, data)


def goaway(last_stream_id: int, code: int, debug: bytes = b"") -> bytes:
    return _TWO_WORDS.pack(8 + len(debug) << 8 | GOAWAY, 0, 0, last_stream_id, code) + debug
