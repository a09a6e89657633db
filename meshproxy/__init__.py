"""Envoy's data plane in pure Python: an L4/L7 proxy that reads Envoy v3 configuration and answers like Envoy."""

__version__ = "0.1.0"
