"""Envoy's v3 configuration becomes the objects of the rooms below.

A file goes through `source` (text to a plain tree), `parse` (tree to Envoy's own messages), `rules` (every constraint
that the descriptors carry) and is then read by the builders through a `View`, which knows at the end what nothing read.
`bootstrap` is that road in one call; what comes over xDS enters at `rules`.

One `build_<thing>(view, ctx)` per resource. A builder raises `ConfigError(reason)`; the path assembles itself.
Protobuf goes no further than this room: what a builder returns has never heard of it.
"""
