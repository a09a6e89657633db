"""Filters, one file each, named as Envoy names them; reached as ``meshproxy.filters`` and in no other way."""

# One file imported under two names makes two classes of every class in it, and each is unknown to the other.
if __name__ != "meshproxy.filters":
    raise ImportError(f"{__name__!r} must be imported as 'meshproxy.filters'", name=__name__)

# Full name of the configuration message -> "module:Class" below meshproxy.filters, imported when first asked for.
TABLE: dict[str, str] = {}
