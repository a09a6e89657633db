"""Envoy's data plane in pure Python: an L4/L7 proxy that reads Envoy v3 configuration and answers like Envoy."""
