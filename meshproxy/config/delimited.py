"""Messages put together of parts that are serialised already: a field's number, the length of what it has, and that."""


def delimited(number: int, data: bytes) -> bytes:
    """A field that is a message, text or bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    pieces = bytearray()
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    pieces.append(value)
    return bytes(pieces)
