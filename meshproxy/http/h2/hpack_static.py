"""The static table of HPACK (RFC 7541, appendix A)."""

from meshproxy.http.headers import Pair

# Index 1 is the first: nothing stands at 0.
_TEXT = """
:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
"""

STATIC: tuple[Pair, ...] = (
    ("", ""),
    *[(name, value) for name, _, value in [line.partition(" ") for line in _TEXT.strip().split("\n")]],
)
# What has a place of its own, and the first place of each name.
PLACES: dict[Pair, int] = {pair: place for place, pair in enumerate(STATIC) if place}
NAMES: dict[str, int] = {}
for _place, (_name, _) in enumerate(STATIC):
    NAMES.setdefault(_name, _place)
del NAMES[""]
