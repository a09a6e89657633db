"""Load on real sockets: the same configuration and client against Envoy, meshproxy and a bare pass-through.

``cases`` say what is measured, ``proxies`` start and weigh a process, ``clients`` make load, ``configs`` write the one
configuration, ``upstream`` answers, ``table`` compares. The proxy has core 0 for itself; the rest shares core 1.
"""
