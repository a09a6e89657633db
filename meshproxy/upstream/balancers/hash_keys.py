"""What an endpoint is called when it is hashed, and the hash functions of consistent hashing."""

from collections.abc import Callable

from xxhash import xxh64_intdigest

from meshproxy.upstream.endpoint import Endpoint

# The seed that libstdc++ hashes with.
_MURMUR_SEED = 0xC70F6907
_MULTIPLIER = 0xC6A4A7935BD1E995
_MASK = (1 << 64) - 1


def name_for_hash(endpoint: Endpoint, by_hostname: bool) -> bytes:
    """`hash_key` of its `envoy.lb` metadata; or else its host name, even an empty one, or its address.

    The endpoint remembers it in `hash_key` for as long as none of them changes.
    """
    key = endpoint.metadata.get("envoy.lb", {}).get("hash_key") if endpoint.metadata else None
    if isinstance(key, str) and key:
        endpoint.hash_key = key.encode("latin-1")
    else:
        endpoint.hash_key = (endpoint.hostname if by_hostname else endpoint.address_text).encode("utf-8")
    return endpoint.hash_key


def murmur_hash_2(data: bytes, seed: int = _MURMUR_SEED) -> int:
    """MurmurHash2, 64 bits, in the variant of libstdc++ (std::hash of a string)."""
    size = len(data)
    number = seed ^ (size * _MULTIPLIER & _MASK)
    whole = size & ~7
    for at in range(0, whole, 8):
        word = int.from_bytes(data[at : at + 8], "little") * _MULTIPLIER & _MASK
        number = (number ^ ((word ^ (word >> 47)) * _MULTIPLIER & _MASK)) * _MULTIPLIER & _MASK
    if size & 7:
        number = (number ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    number = (number ^ (number >> 47)) * _MULTIPLIER & _MASK
    return number ^ (number >> 47)


HashFunction = Callable[[bytes], int]

xx_hash: HashFunction = xxh64_intdigest
