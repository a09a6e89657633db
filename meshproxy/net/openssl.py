"""What the standard `ssl` module does not reach of the OpenSSL that it is linked with, through ctypes.

`ssl.SSLContext` and what `wrap_bio` makes are C structures whose first members are the pointers to OpenSSL's own
objects. `library()` checks that before anything relies on it, and refuses a Python where it is not so: one that is
linked with OpenSSL statically, say.

Whether a certificate is trusted is decided inside the handshake (`set_verifier`), so that a peer hears of it by the
right alert and no byte passes before.
"""

import ctypes
import ssl
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_long, c_size_t, c_uint64, c_ulong, c_void_p
from functools import cache
from typing import Any

_VERIFY = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)
_TICKET_KEY = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_int)
# SSL_CTX_ctrl and SSL_ctrl of ssl.h.
_MODE = 33
_SET_SESS_CACHE_MODE = 44
_SET_TICKET_KEYS = 59
_SET_GROUPS_LIST = 92
_SET_SIGALGS_LIST = 98
_GET_PEER_SIGNATURE_NID = 108
_GET_NEGOTIATED_GROUP = 134
_NO_AUTO_CHAIN = 8
# An object's first own member.
_FIRST = object.__basicsize__
_POINTER = ctypes.sizeof(c_void_p)

_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "SSL_CTX_get_options": (c_uint64, (c_void_p,)),
    "SSL_CTX_ctrl": (c_long, (c_void_p, c_int, c_long, c_char_p)),
    "SSL_CTX_set_timeout": (c_long, (c_void_p, c_long)),
    "SSL_CTX_set_verify_depth": (None, (c_void_p, c_int)),
    "SSL_CTX_set_session_id_context": (c_int, (c_void_p, c_char_p, c_int)),
    "SSL_CTX_set_cert_verify_callback": (None, (c_void_p, _VERIFY, c_void_p)),
    "SSL_CTX_set_tlsext_ticket_key_evp_cb": (c_int, (c_void_p, _TICKET_KEY)),
    "SSL_CTX_add_client_CA": (c_int, (c_void_p, c_void_p)),
    "SSL_get_certificate": (c_void_p, (c_void_p,)),
    "SSL_get_session": (c_void_p, (c_void_p,)),
    "SSL_get_SSL_CTX": (c_void_p, (c_void_p,)),
    "SSL_ctrl": (c_long, (c_void_p, c_int, c_long, c_void_p)),
    "SSL_get_peer_signature_type_nid": (c_int, (c_void_p, POINTER(c_int))),
    "X509_verify_cert": (c_int, (c_void_p,)),
    "X509_STORE_CTX_get0_cert": (c_void_p, (c_void_p,)),
    "X509_STORE_CTX_get0_untrusted": (c_void_p, (c_void_p,)),
    "X509_STORE_CTX_get0_chain": (c_void_p, (c_void_p,)),
    "X509_STORE_CTX_get_error": (c_int, (c_void_p,)),
    "X509_STORE_CTX_get_error_depth": (c_int, (c_void_p,)),
    "X509_STORE_CTX_get_current_cert": (c_void_p, (c_void_p,)),
    "X509_STORE_CTX_new": (c_void_p, ()),
    "X509_STORE_CTX_init": (c_int, (c_void_p, c_void_p, c_void_p, c_void_p)),
    "X509_STORE_CTX_free": (None, (c_void_p,)),
    "X509_STORE_CTX_set_error_depth": (None, (c_void_p, c_int)),
    "SSL_CTX_get_cert_store": (c_void_p, (c_void_p,)),
    "X509_STORE_CTX_set_error": (None, (c_void_p, c_int)),
    "X509_verify_cert_error_string": (c_char_p, (c_long,)),
    "X509_free": (None, (c_void_p,)),
    "d2i_X509": (c_void_p, (c_void_p, POINTER(c_char_p), c_long)),
    "i2d_X509": (c_int, (c_void_p, POINTER(c_void_p))),
    "OPENSSL_sk_num": (c_int, (c_void_p,)),
    "OPENSSL_sk_value": (c_void_p, (c_void_p, c_int)),
    "CRYPTO_free": (None, (c_void_p, c_char_p, c_int)),
    "OBJ_nid2sn": (c_char_p, (c_int,)),
    "EVP_aes_256_cbc": (c_void_p, ()),
    "EVP_CipherInit_ex": (c_int, (c_void_p, c_void_p, c_void_p, c_char_p, c_void_p, c_int)),
    "EVP_MAC_CTX_set_params": (c_int, (c_void_p, c_void_p)),
    "ERR_clear_error": (None, ()),
    "ERR_get_error": (c_ulong, ()),
}  # fmt: skip


class Unavailable(ValueError):
    """This Python's OpenSSL cannot be reached."""


class Store:
    """A certificate that is to be verified, with the chain that the peer sent (X509_STORE_CTX)."""

    __slots__ = ("_pointer",)

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer

    def verify(self) -> bool:
        """By the authorities of its context, as OpenSSL does it; otherwise `error`, `depth` and `culprit` say why."""
        return bool(library().X509_verify_cert(self._pointer) == 1)

    def verify_by(self, context: "TlsContext") -> bool:
        """The same by the authorities of another context."""
        lib = library()
        other = lib.X509_STORE_CTX_new()
        try:
            leaf = lib.X509_STORE_CTX_get0_cert(self._pointer)
            sent = lib.X509_STORE_CTX_get0_untrusted(self._pointer)
            if not other or not lib.X509_STORE_CTX_init(other, lib.SSL_CTX_get_cert_store(context.pointer), leaf, sent):
                return False
            good = bool(lib.X509_verify_cert(other) == 1)
            self.error = lib.X509_STORE_CTX_get_error(other)
            lib.X509_STORE_CTX_set_error_depth(self._pointer, lib.X509_STORE_CTX_get_error_depth(other))
            return good
        finally:
            lib.X509_STORE_CTX_free(other)

    @property
    def error(self) -> int:
        return int(library().X509_STORE_CTX_get_error(self._pointer))

    @error.setter
    def error(self, code: int) -> None:
        library().X509_STORE_CTX_set_error(self._pointer, code)

    @property
    def depth(self) -> int:
        return int(library().X509_STORE_CTX_get_error_depth(self._pointer))

    @property
    def culprit(self) -> bytes:
        """The certificate that `error` is about, or the peer's own."""
        return _der(library().X509_STORE_CTX_get_current_cert(self._pointer)) or self.leaf

    @property
    def leaf(self) -> bytes:
        """The peer's certificate, as DER."""
        return _der(library().X509_STORE_CTX_get0_cert(self._pointer))

    @property
    def chain(self) -> list[bytes]:
        """What the peer sent, its own certificate first."""
        lib = library()
        stack = lib.X509_STORE_CTX_get0_untrusted(self._pointer)
        return [_der(lib.OPENSSL_sk_value(stack, i)) for i in range(lib.OPENSSL_sk_num(stack))] if stack else []

    @property
    def issuer(self) -> bytes:
        """Who has issued it, once it was verified."""
        lib = library()
        stack = lib.X509_STORE_CTX_get0_chain(self._pointer)
        return _der(lib.OPENSSL_sk_value(stack, 1)) if stack and lib.OPENSSL_sk_num(stack) > 1 else b""


# Whether the peer may be trusted; it says why not with `Store.error`.
Verifier = Callable[[Store], bool]


class TlsContext(ssl.SSLContext):
    """A context that OpenSSL's further settings can be made on."""

    # Who decides on certificates, where that is not OpenSSL alone (see tls_verify.py).
    judge: Any = None
    # Keeps what OpenSSL calls alive as long as OpenSSL may call it.
    _kept: tuple[Any, ...] = ()

    @property
    def pointer(self) -> int:
        return _member(self, 0)

    def set_verifier(self, verifier: Verifier) -> None:
        """In place of OpenSSL's own verification, which `Store.verify` is."""

        def verify(store: int, _argument: int | None) -> int:
            return int(verifier(Store(store)))

        call = _VERIFY(verify)
        self._kept = (*self._kept, call)
        library().SSL_CTX_set_cert_verify_callback(self.pointer, call, None)

    def set_groups(self, names: str) -> None:
        """Curves, the best first: `X25519:P-256`. Raises ValueError."""
        self._control(_SET_GROUPS_LIST, names.encode(), f"Failed to initialize ECDH curves {names}")

    def set_signature_algorithms(self, names: str) -> None:
        self._control(_SET_SIGALGS_LIST, names.encode(), f"Failed to initialize TLS signature algorithms {names}")

    def set_session_context(self, digest: bytes) -> None:
        """Sessions of contexts with another one are not resumed. digest: at most 32 bytes."""
        library().SSL_CTX_set_session_id_context(self.pointer, digest, len(digest))

    def send_no_more(self) -> None:
        """Nothing but the configured chain is sent: OpenSSL would complete it from what peers are trusted by."""
        library().SSL_CTX_ctrl(self.pointer, _MODE, _NO_AUTO_CHAIN, None)

    def set_session_timeout(self, seconds: int) -> None:
        library().SSL_CTX_set_timeout(self.pointer, seconds)

    def set_session_cache(self, on: bool) -> None:
        """Whether sessions of TLS 1.2 are kept here (stateful resumption)."""
        library().SSL_CTX_ctrl(self.pointer, _SET_SESS_CACHE_MODE, 2 if on else 0, None)

    def set_verify_depth(self, depth: int) -> None:
        library().SSL_CTX_set_verify_depth(self.pointer, depth)

    def name_authority(self, der: bytes) -> None:
        """Tells clients that certificates by this authority will do."""
        lib = library()
        data = c_char_p(der)
        certificate = lib.d2i_X509(None, ctypes.byref(data), len(der))
        if certificate:
            lib.SSL_CTX_add_client_CA(self.pointer, certificate)
            lib.X509_free(certificate)

    def set_ticket_keys(self, keys: "tuple[bytes, ...]") -> None:
        """Of 80 bytes each (name, HMAC key, AES key): tickets are made with the first, and all are accepted."""
        if len(keys) == 1:
            library().SSL_CTX_ctrl(self.pointer, _SET_TICKET_KEYS, len(keys[0]), keys[0])
            return
        call = _TICKET_KEY(_ticket_keys(keys))
        self._kept = (*self._kept, call)
        library().SSL_CTX_set_tlsext_ticket_key_evp_cb(self.pointer, call)

    def _control(self, command: int, value: bytes, complaint: str) -> None:
        lib = library()
        if lib.SSL_CTX_ctrl(self.pointer, command, 0, value) != 1:
            lib.ERR_clear_error()
            raise ValueError(complaint)


def group_of(tls: ssl.SSLObject) -> str:
    """The curve that the keys were agreed on, or ""."""
    pointer = _ssl_pointer(tls)
    if not library().SSL_get_session(pointer):
        # OpenSSL looks there without asking whether there is one.
        return ""
    return _group_name(library().SSL_ctrl(pointer, _GET_NEGOTIATED_GROUP, 0, None))


@cache
def _group_name(nid: int) -> str:
    """nid: as OpenSSL numbers it; groups without an object of their own have numbers of TLS."""
    name = library().OBJ_nid2sn(nid & 0xFFFF) if nid > 0 else None
    return _GROUPS.get(name.decode(), name.decode()) if name else ""


def certificate_of(tls: ssl.SSLObject) -> bytes:
    """The certificate of this side, as DER, or nothing."""
    return _der(library().SSL_get_certificate(_ssl_pointer(tls)))


def peer_signature_of(tls: ssl.SSLObject) -> str:
    """The signature algorithm that the peer proved its identity with, as TLS calls it, or ""."""
    lib = library()
    pointer = _ssl_pointer(tls)
    digest, kind = c_int(0), c_int(0)
    lib.SSL_ctrl(pointer, _GET_PEER_SIGNATURE_NID, 0, ctypes.byref(digest))
    if not lib.SSL_get_peer_signature_type_nid(pointer, ctypes.byref(kind)):
        return ""
    names = [(lib.OBJ_nid2sn(nid.value) or b"").decode() for nid in (kind, digest)]
    return _SIGNATURE_NAMES.get((names[0], names[1]), "")


def verify_words(code: int) -> str:
    """What OpenSSL says of the reason why a certificate was not trusted."""
    words: bytes = library().X509_verify_cert_error_string(code)
    return words.decode()


@cache
def library() -> Any:
    """libssl and libcrypto of the ssl module. Raises Unavailable."""
    paths = _paths()
    if not paths:
        raise Unavailable("this Python has its OpenSSL built in, where its verification cannot be set")
    found = _Library()
    loaded = [ctypes.CDLL(path) for path in paths]
    for name, (result, arguments) in _SIGNATURES.items():
        function = next((getattr(lib, name) for lib in loaded if hasattr(lib, name)), None)
        if function is None:
            raise Unavailable(f"{ssl.OPENSSL_VERSION} has no {name}")
        function.restype, function.argtypes = result, arguments
        setattr(found, name, function)
    _check(found)
    return found


class _Library:
    """The functions of `_SIGNATURES`."""


def _paths() -> list[str]:
    """Where the libraries are that this process has loaded."""
    found = {}
    with open("/proc/self/maps") as maps:
        for line in maps:
            path = line.split(maxsplit=5)[5].strip() if line.count("/") else ""
            name = path.rpartition("/")[2]
            for library_name in ("libssl", "libcrypto"):
                # Other packages bring an OpenSSL of their own under names of their own.
                if name.startswith(library_name + ".so"):
                    found[library_name] = path
    return list(found.values()) if len(found) == 2 else []


def _check(lib: Any) -> None:
    """The pointers are where they are expected: OpenSSL says of them what Python does."""
    for option in (ssl.OP_NO_TICKET, ssl.OP_CIPHER_SERVER_PREFERENCE):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.options ^= option
        if lib.SSL_CTX_get_options(_member(context, 0)) != context.options & 0xFFFFFFFFFFFFFFFF:
            raise Unavailable("ssl.SSLContext is not built as expected")
    tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    if lib.SSL_get_SSL_CTX(_ssl_pointer(tls)) != _member(context, 0):
        raise Unavailable("ssl.SSLObject is not built as expected")


def _member(thing: object, index: int) -> int:
    value = c_size_t.from_address(id(thing) + _FIRST + index * _POINTER).value
    if not value or value % _POINTER:
        raise Unavailable(f"{type(thing).__name__} is not built as expected")
    return value


def _ssl_pointer(tls: ssl.SSLObject) -> int:
    return _member(tls._sslobj, 1)  # type: ignore[attr-defined]


def _der(certificate: int | None) -> bytes:
    if not certificate:
        return b""
    lib = library()
    buffer = c_void_p()
    size = lib.i2d_X509(certificate, ctypes.byref(buffer))
    if size <= 0 or buffer.value is None:
        return b""
    data = ctypes.string_at(buffer.value, size)
    lib.CRYPTO_free(buffer, None, 0)
    return data


class _Parameter(ctypes.Structure):
    """OSSL_PARAM."""

    _fields_ = (
        ("key", c_char_p), ("data_type", ctypes.c_uint), ("data", c_void_p), ("size", c_size_t), ("returned", c_size_t),
    )  # fmt: skip


def _ticket_keys(keys: tuple[bytes, ...]) -> Callable[..., int]:
    """SSL_CTX_set_tlsext_ticket_key_evp_cb's callback."""

    def call(_ssl: int, name: int, vector: int, cipher: int, mac: int, making: int) -> int:
        lib = library()
        if making:
            import os

            key = keys[0]
            ctypes.memmove(name, key[:16], 16)
            ctypes.memmove(vector, os.urandom(16), 16)
        else:
            wanted = ctypes.string_at(name, 16)
            key = next((each for each in keys if each[:16] == wanted), b"")
            if not key:
                return 0
        secret = ctypes.create_string_buffer(key[16:48], 32)
        parameters = (_Parameter * 3)(
            _Parameter(b"key", 5, ctypes.cast(secret, c_void_p), 32, 0),
            _Parameter(b"digest", 4, ctypes.cast(c_char_p(b"SHA256"), c_void_p), 6, 0),
            _Parameter(None, 0, None, 0, 0),
        )
        if not lib.EVP_MAC_CTX_set_params(mac, parameters):
            return -1
        if not lib.EVP_CipherInit_ex(cipher, lib.EVP_aes_256_cbc(), None, key[48:], vector, making):
            return -1
        # A ticket that was made with an old key is made anew.
        return 1 if making or key is keys[0] else 2

    return call


# As BoringSSL calls what OpenSSL has other names for.
_GROUPS = {"prime256v1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_SIGNATURE_NAMES = {
    ("RSASSA-PSS", "SHA256"): "rsa_pss_rsae_sha256", ("RSASSA-PSS", "SHA384"): "rsa_pss_rsae_sha384",
    ("RSASSA-PSS", "SHA512"): "rsa_pss_rsae_sha512", ("rsaEncryption", "SHA256"): "rsa_pkcs1_sha256",
    ("rsaEncryption", "SHA384"): "rsa_pkcs1_sha384", ("rsaEncryption", "SHA512"): "rsa_pkcs1_sha512",
    ("rsaEncryption", "SHA1"): "rsa_pkcs1_sha1", ("id-ecPublicKey", "SHA256"): "ecdsa_secp256r1_sha256",
    ("id-ecPublicKey", "SHA384"): "ecdsa_secp384r1_sha384", ("id-ecPublicKey", "SHA512"): "ecdsa_secp521r1_sha512",
    ("id-ecPublicKey", "SHA1"): "ecdsa_sha1", ("ED25519", "UNDEF"): "ed25519", ("ED25519", ""): "ed25519",
}  # fmt: skip
